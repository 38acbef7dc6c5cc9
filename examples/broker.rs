//! Two programs that know nothing of each other but the path of a socket: one serves its caches,
//! the other follows one of them.
//!
//! ```text
//! cargo run --release --example broker -- serve $XDG_RUNTIME_DIR/floe.sock
//! cargo run --release --example broker -- list $XDG_RUNTIME_DIR/floe.sock
//! cargo run --release --example broker -- follow $XDG_RUNTIME_DIR/floe.sock
//! ```
//! The folder is one that no other user can write to: in `/tmp` somebody else could take the path
//! first. The follower goes on with the next owner when the one before has ended; stop `serve` and
//! start it again to see it.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand};
use floe::{Broker, Client, Frozen, Live, Publisher};

/// Serves caches on a socket, or follows one
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
    /// How many generations are published or followed
    #[arg(long, global = true, default_value_t = 60)]
    rounds: u64,
}

#[derive(Subcommand)]
enum Role {
    /// Publish a generation every half second
    Serve { path: PathBuf },
    /// Print which caches there are
    List { path: PathBuf },
    /// Print each generation of the cache `uptime`
    Follow { path: PathBuf },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    match arguments.role {
        Role::Serve { path } => {
            let publisher = Publisher::new(&Frozen::freeze("uptime", &uptime()?)?)?;
            let _broker = Broker::serve(&path, [&publisher])?;
            println!("serving on {}", path.display());
            for _ in 0..arguments.rounds {
                thread::sleep(Duration::from_millis(500));
                publisher.publish(&publisher.freeze(&uptime()?)?)?;
            }
        }
        Role::List { path } => {
            for cache in floe::broker::list(path)? {
                println!(
                    "{}: generation {}, {} bytes, {:.1} s old",
                    cache.name,
                    cache.generation,
                    cache.bytes,
                    cache.age.as_secs_f64()
                );
            }
        }
        Role::Follow { path } => {
            let client = Client::new(path).reconnect_every(Duration::from_millis(200));
            let mut live: Live<String> = client.follow("uptime")?;
            for _ in 0..arguments.rounds {
                println!("generation {}: {}", live.generation(), live.get_stale());
                while !live.wait_newer(Duration::from_secs(2)) && live.is_orphaned() {
                    println!("the owner has ended; reading on is possible as long as one likes");
                }
            }
        }
    }
    Ok(())
}

fn uptime() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/uptime")?.trim().to_owned())
}
