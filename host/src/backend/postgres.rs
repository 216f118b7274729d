//! backend/postgres
