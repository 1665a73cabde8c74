//! The port plan.
