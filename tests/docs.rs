//! The documents say what the code does: their commands run, their code is code of this
//! repository, their links lead somewhere, and their references have what can be set.

mod commands;
mod configuration;
mod examples;
mod links;
mod manifest;
mod page;
