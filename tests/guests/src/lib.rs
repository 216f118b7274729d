//! Each example is one component.
