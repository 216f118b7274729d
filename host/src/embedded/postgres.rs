//! embedded/postgres
