//! edge/problem
