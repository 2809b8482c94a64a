//! Generates the protocol's types. No protoc is needed: protox compiles the files.

use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let files = protox::compile(["chat/v1/chat.proto", "chat/log/v1/log.proto"], [&root])?;
    std::fs::write(
        out.join("descriptors.bin"),
        prost::Message::encode_to_vec(&files),
    )?;
    tonic_prost_build::configure()
        // The server writes pre-framed bytes and so has its own service; the client is generated.
        .build_server(false)
        .build_client(true)
        .build_transport(false)
        .bytes(".chat.log.v1")
        .compile_fds(files)?;

    build_facts();
    Ok(())
}

/// Facts for `--version`. Without git (a source archive) the commit is "unknown".
fn build_facts() {
    let git = |args: &[&str]| {
        Command::new("git")
            .args(args)
            .output()
            .ok()
            .filter(|o| o.status.success())
            .and_then(|o| String::from_utf8(o.stdout).ok())
            .map(|s| s.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env=CHAT_HOST_COMMIT={commit}");
    println!(
        "cargo:rustc-env=CHAT_HOST_TARGET={}",
        std::env::var("TARGET").unwrap_or_default()
    );
    let rustc = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
        .arg("--version")
        .output()
        .ok()
        .and_then(|o| String::from_utf8(o.stdout).ok())
        .unwrap_or_default();
    println!("cargo:rustc-env=CHAT_HOST_RUSTC={}", rustc.trim());
}
