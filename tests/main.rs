
mod gate;
mod pack;
