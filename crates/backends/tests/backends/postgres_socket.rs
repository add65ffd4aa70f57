//! Tests records that reach their PostgreSQL server by its Unix socket.

use domain::{Clock, Secret};
use instrument::FailPoints;
use migrations::up;
use records::{Records, RecordsSettings};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use test_support::test_db::TestDb;

/// The address is a URL with the folder of the socket, as PostgreSQL's own tools take it for a server on this machine.
#[tokio::test]
async fn records_open_a_database_by_its_unix_socket() {
    let Some(test_db) = TestDb::postgres().await else { return };
    let db = Database::connect(&test_db.url).await.unwrap();
    let query = "SELECT current_setting('unix_socket_directories'), current_setting('port'), current_user::text";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
    let text = |at: usize| row.try_get_by_index::<String>(at).unwrap();
    let (folders, port, user) = (text(0), text(1), text(2));
    db.close().await.unwrap();
    let folder = folders.split(',').map(str::trim).find(|folder| std::path::Path::new(folder).exists());
    let Some(folder) = folder else { return eprintln!("skipped: the PostgreSQL is not on this machine: {folders}") };
    let (_, database) = test_db.url.rsplit_once('/').unwrap();
    for scheme in ["postgres", "postgresql"] {
        let url = format!("{scheme}://{user}:p@/{database}?host={folder}&port={port}");
        let settings = RecordsSettings::new(Secret::new(url), 1);
        let address = settings.database_url().unwrap();
        assert_eq!(up(&address).await.unwrap(), Vec::<String>::new());
        let db = Database::connect(&address).await.unwrap();
        let query = "SELECT inet_server_addr() IS NULL";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
        assert!(row.try_get_by_index::<bool>(0).unwrap(), "the connection uses the socket");
        db.close().await.unwrap();
        let records = Records::open(&settings, Clock::system(), FailPoints::default()).await.unwrap();
        records.ping().await.unwrap();
        records.close().await.unwrap();
    }
    test_db.close().await;
}
