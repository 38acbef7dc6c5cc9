from ._floe import *
