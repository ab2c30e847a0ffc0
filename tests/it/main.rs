//! Tests without a network: one module a subject.

mod plan;
