//! What a server can't start on, and what it starts on all the same: the last rows of the README's table.

use std::os::unix::fs::PermissionsExt;

use tokio::net::TcpListener;

use super::client::Session;
use super::server::{Home, PROGRAM, ended, until};
use super::skipped::{NOBODY, is_root, skip};

#[tokio::test]
async fn a_port_in_use_fails_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = Home::new("").refused(&address).await;
    assert_eq!(code, 1, "{said}");
    let words = format!("{address} is in use by another program");
    assert!(said.contains(&words) && said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_missing_data_folder_is_made_for_its_owners_eyes() {
    let home = Home::new("");
    assert!(!home.data().exists());
    home.start().await.stop().await;
    let mode = std::fs::metadata(home.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let home = Home::new("");
    std::fs::write(home.data(), "no folder").unwrap();
    let (code, said) = home.refused("127.0.0.1:0").await;
    assert_eq!(code, 1, "{said}");
    let words = format!("the data folder {} can't be used", home.data().display());
    assert!(said.contains(&words) && said.contains("--data"), "{said}");
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_fails_the_start() {
    let home = Home::new("");
    std::fs::create_dir(home.data()).unwrap();
    // The settings are readable, and the data is not for others.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.path(""), open.clone()).unwrap();
    std::fs::set_permissions(home.data(), open).unwrap();
    let mut command = home.command(&[PROGRAM], "127.0.0.1:0");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    } else {
        let none = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(home.data(), none).unwrap();
    }
    command.current_dir("/");
    let mut probe = tokio::process::Command::new(PROGRAM);
    probe.arg("-V");
    if is_root() {
        probe.uid(NOBODY).gid(NOBODY);
    }
    if probe.output().await.is_err() {
        return skip(
            "a folder that may not be written",
            "an unprivileged user can't reach the program",
        );
    }
    let (code, said) = ended(command).await;
    assert_eq!(code, 1, "{said}");
    let words = format!("the data folder {} can't be used", home.data().display());
    assert!(said.contains(&words) && said.contains("--data"), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
}

#[tokio::test]
async fn an_empty_plugin_folder_serves_and_says_so() {
    let home = Home::new("").flag("--memory");
    let plugins = home.path("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let home = home.flag("--plugins").flag(plugins.to_str().unwrap());
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.post("lobby", "hi", "1").await.unwrap();
    until("it says so", || home.log().contains("no plugin is loaded")).await;
}

#[tokio::test]
async fn a_missing_plugin_folder_fails_the_start() {
    let home = Home::new("")
        .flag("--memory")
        .flag("--plugins")
        .flag("/nowhere/at/all");
    let (code, said) = home.refused("127.0.0.1:0").await;
    assert_eq!(code, 1, "{said}");
    let words = "the plugin folder /nowhere/at/all can't be read";
    assert!(said.contains(words) && said.contains("--plugins"), "{said}");
}
