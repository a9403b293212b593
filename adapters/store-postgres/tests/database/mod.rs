//! A database of a test's own. `cargo xtask test` starts a PostgreSQL and names it in the environment; without it the tests
//! that need one are ignored, and say so.

use postgres::{Client, NoTls};

/// Connection string of a server on which tests may make databases.
const VARIABLE: &str = "TUNDUK_POSTGRES";

/// Gives the connection string of a new database to a test, and drops the database after it.
pub fn with_a_database(name: &str, test: impl FnOnce(&str)) {
    let server = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("{VARIABLE} names no PostgreSQL; run: cargo xtask test"));
    let mut admin = Client::connect(&format!("{server} dbname=postgres"), NoTls)
        .expect("the PostgreSQL answers");
    let database = format!("tunduk_{name}_{}", std::process::id());
    admin
        .batch_execute(&format!("CREATE DATABASE {database}"))
        .expect("a database");
    test(&format!("{server} dbname={database}"));
    admin
        .batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)"))
        .expect("dropped");
}
