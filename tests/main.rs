
mod gate;
