//! Cost records, their history and forecasts, at `/costs`.

mod model;
