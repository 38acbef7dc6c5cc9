//! Two programs that know nothing of each other but the path of a socket: one serves its caches, the
//! other follows one of them.
//!
//! ```text
//! cargo run --release --example broker -- serve /tmp/floe.sock
//! cargo run --release --example broker -- list /tmp/floe.sock
//! cargo run --release --example broker -- follow /tmp/floe.sock
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand};
use floe::{Broker, Frozen, Live, Publisher};

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
            let publisher = Publisher::new(&Frozen::freeze("uptime", &uptime()?)?, None)?;
            let _broker = Broker::serve(&path, [&publisher])?;
            println!("serving on {}", path.display());
            for _ in 0..arguments.rounds {
                thread::sleep(Duration::from_millis(500));
                publisher.publish(&publisher.freeze(&uptime()?)?, None)?;
            }
        }
        Role::List { path } => {
            for cache in floe::list(path)? {
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
            let mut live = Live::<String>::connect(path, "uptime")?;
            for _ in 0..arguments.rounds {
                println!("generation {}: {}", live.generation(), live.get());
                if !live.wait_newer(Duration::from_secs(2)) {
                    println!("nothing new for 2 s; reading on is possible as long as one likes");
                    break;
                }
            }
        }
    }
    Ok(())
}

fn uptime() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/uptime")?.trim().to_owned())
}
