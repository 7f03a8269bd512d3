//! TLS bytes as peers send them, made to order.
