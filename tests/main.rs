mod config;
mod config_file;
mod log;
mod metrics;
mod problem;
