//! What goes wrong is one line that says what to do, exit code 1, and nothing under the file's final name.

mod common;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Instant;

use common::{ENGINES, PROTOCOLS, Server, assert_fails, folder_with_data, get, names, quillon, run, text};
use quillon_host::Identity;
use tempfile::TempDir;

/// Runs a `get` that must fail, and asserts that it left nothing behind.
fn refuse(engine: &str, arguments: &[&str], words: &[&str]) {
    let target = TempDir::new().expect("a temporary folder");
    let output = target.path().join("copy");
    let output = output.to_str().expect("UTF-8");
    assert_fails(&get(engine, &[arguments, &["--output", output]].concat()), words);
    assert_eq!(names(target.path()), [""; 0]);
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_certificate_that_nobody_trusts() {
    let root = folder_with_data(10);
    let elsewhere = TempDir::new().expect("a temporary folder");
    let other = elsewhere.path().join("other.pem");
    let identity = Identity::self_signed(&["localhost"]).expect("generated");
    fs::write(&other, identity.certificate_pem()).expect("a new file");
    for engine in ENGINES {
        let server = Server::start(engine, root.path(), &[]);
        refuse(engine, &[&server.url("/data"), "--ca", path(&other)], &["certificate", "--ca"]);
        // The operating system does not know it either.
        refuse(engine, &[&server.url("/data")], &["certificate", "--ca", "--insecure"]);
        // The server goes on.
        let done = get(engine, &[&server.url("/data"), "--insecure", "--output", "-"]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
}

#[test]
fn a_certificate_for_another_name() {
    let root = folder_with_data(10);
    for engine in ENGINES {
        let server = Server::start(engine, root.path(), &[]);
        let address = server.address.to_string();
        let arguments = ["https://example.org/data", "--connect-to", &address, "--ca", path(&server.ca)];
        refuse(engine, &arguments, &["example.org"]);
    }
}

#[test]
fn an_unknown_host() {
    refuse("native", &["https://nowhere.invalid/data", "--insecure"], &["nowhere.invalid", "check its name"]);
}

#[test]
fn a_port_that_nobody_listens_on() {
    let free = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("bound").port();
    for engine in ENGINES {
        let url = format!("https://127.0.0.1:{free}/data");
        refuse(engine, &[&url, "--insecure", "--timeout", "20"], &["nobody listens", &free.to_string()]);
    }
}

#[test]
fn a_server_that_does_not_answer() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for engine in ENGINES {
        let url = format!("https://127.0.0.1:{}/data", silent.local_addr().expect("bound").port());
        let started = Instant::now();
        refuse(engine, &[&url, "--insecure", "--timeout", "1"], &["no answer", "within 1 s"]);
        assert!(started.elapsed().as_secs() < 30);
    }
}

#[test]
fn a_server_of_another_protocol() {
    let root = folder_with_data(10);
    for engine in ENGINES {
        let server = Server::start(engine, root.path(), &["--alpn", "h3"]);
        let arguments = [&server.url("/data"), "--ca", path(&server.ca), "--alpn", "hq-interop"];
        refuse(engine, &arguments, &["hq-interop", "--alpn"]);
    }
}

#[test]
fn a_file_that_is_not_there() {
    let root = folder_with_data(10);
    for engine in ENGINES {
        let server = Server::start(engine, root.path(), &[]);
        for alpn in PROTOCOLS {
            let common = ["--ca", path(&server.ca), "--alpn", alpn];
            refuse(engine, &[&[server.url("/other").as_str()], &common[..]].concat(), &["/other", "no such file"]);
            refuse(engine, &[&[server.url("/").as_str()], &common[..]].concat(), &["bad request"]);
        }
    }
}

#[test]
fn paths_out_of_the_root() {
    let above = folder_with_data(10);
    let root = above.path().join("root");
    fs::create_dir(&root).expect("a new folder");
    fs::create_dir(root.join("folder")).expect("a new folder");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(above.path().join("data"), root.join("link")).expect("a new link");
        std::os::unix::fs::symlink(above.path(), root.join("up")).expect("a new link");
    }
    let server = Server::start("native", &root, &[]);
    let ca = path(&server.ca);
    for alpn in PROTOCOLS {
        let refuse = |bad: &str, word| refuse("native", &[&server.url(bad), "--ca", ca, "--alpn", alpn], &[word]);
        for bad in ["/../data", "/%2e%2e/data", "/folder/../../data", "/%2fetc/passwd"] {
            refuse(bad, "bad request");
        }
        for bad in ["/link", "/up/data"] {
            refuse(bad, "does not serve it");
        }
        refuse("/folder", "no such file");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_fails_while_it_is_read() {
    // Opens, and gives an error when it is read at 0.
    let server = Server::start("native", Path::new("/proc/self"), &[]);
    for alpn in PROTOCOLS {
        refuse("native", &[&server.url("/mem"), "--ca", path(&server.ca), "--alpn", alpn], &["could not read"]);
    }
}

#[test]
#[cfg(unix)]
fn no_permission() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    // Root may do everything: where the tests run as root the command runs as nobody, from a folder open to all.
    let base = TempDir::new().expect("a temporary folder");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    open(base.path(), 0o755);
    let program = base.path().join("quillon");
    fs::copy(env!("CARGO_BIN_EXE_quillon"), &program).expect("a copy");
    open(&program, 0o755);
    let is_root = text(&run(std::process::Command::new("id").arg("-u")).stdout).trim() == "0";
    let command = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        command.env_remove("SSLKEYLOGFILE").args(arguments);
        command
    };

    let root = base.path().join("root");
    fs::create_dir(&root).expect("a new folder");
    fs::write(root.join("secret"), b"secret").expect("a new file");
    open(&root.join("secret"), 0o000);
    fs::write(root.join("data"), b"data").expect("a new file");
    let closed = base.path().join("closed");
    fs::create_dir(&closed).expect("a new folder");
    open(&closed, 0o555);

    // The folder is served, the file is not. The certificate's folder must be writable for nobody.
    let mut serve = quillon();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--engine", "native", "--root"]).arg(&root);
    let server = Server::spawn(&mut serve);
    let output = closed.join("copy");
    let get = command(&["get", "--engine", "native", "--insecure", &server.url("/data"), "--output", path(&output)])
        .output()
        .expect("it starts");
    assert_fails(&get, &["copy.part", "Permission denied"]);
    assert_eq!(names(&closed), [""; 0]);

    let serve = command(&["serve", "--engine", "native", "--root", path(&root), "--cert", path(&root.join("secret"))])
        .args(["--key", path(&root.join("secret"))])
        .output()
        .expect("it starts");
    assert_fails(&serve, &["secret", "Permission denied"]);
    if is_root {
        let serve = command(&["serve", "--engine", "native", "--root", path(&root), "--listen", "127.0.0.1:1"]);
        let mut serve = serve;
        // Where low ports are open to all there is nothing to refuse.
        let everybody = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        if everybody.is_ok_and(|port| port.trim().parse::<u16>().is_ok_and(|port| port > 1)) {
            assert_fails(&serve.output().expect("it starts"), &["127.0.0.1:1", "1024"]);
        }
    }
}

#[test]
fn files_that_are_none() {
    let root = folder_with_data(10);
    let folder = path(root.path());
    let data = root.path().join("data");
    let data = path(&data);
    refuse("native", &["https://localhost:1/x", "--ca", folder], &["cannot read", folder]);
    refuse("native", &["https://localhost:1/x", "--ca", data], &[data, "holds no certificate"]);
    refuse("native", &["https://localhost:1/x", "--ca", "/nowhere/ca.pem"], &["/nowhere/ca.pem"]);
    let serve = |arguments: &[&str]| run(quillon().args(["serve", "--engine", "native"]).args(arguments));
    assert_fails(&serve(&["--root", "/nowhere"]), &["/nowhere"]);
    assert_fails(&serve(&["--root", data]), &[data, "not a folder"]);
    assert_fails(&serve(&["--root", folder, "--cert", data, "--key", data]), &["holds no certificate"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let root = folder_with_data(10);
    let server = Server::start("native", root.path(), &[]);
    let ca = path(&server.ca);
    let done = get("native", &[&server.url("/data"), "--ca", ca, "--output", "/nowhere/copy"]);
    assert_fails(&done, &["/nowhere/copy.part"]);
    let done = get("native", &[&server.url("/"), "--ca", ca]);
    assert_fails(&done, &["names no file", "--output"]);
}

#[test]
fn an_address_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("bound").to_string();
    let root = folder_with_data(10);
    let serve = run(quillon().args(["serve", "--engine", "native", "--listen", &address, "--root"]).arg(root.path()));
    assert_fails(&serve, &[&address, "another port"]);
}

#[test]
fn usage() {
    for arguments in [
        &["get"][..],
        &["get", "ftp://localhost/x"],
        &["get", "https://localhost/x", "--timeout", "-1"],
        &["get", "https://localhost/x", "--engine", "fast"],
        &["serve"],
        &["serve", "--root", ".", "--cert", "x"],
        &["fetch"],
    ] {
        let done = run(quillon().args(arguments));
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
    }
    refuse("native", &["https://a/x", "https://b/y"], &["another server"]);
    refuse("native", &["https://a/x", "--alpn", "other"], &["other", "--alpn h3", "--handshake-only"]);
}
