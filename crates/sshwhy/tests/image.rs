//! `doctor --image` and `--dockerfile`: images that the test itself packs, in the forms in which they come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn entry(name: &str, kind: u8, mode: u32, content: &[u8], target: &str) -> Vec<u8> {
    let mut h = vec![0u8; 512];
    let mut put = |at: usize, text: &[u8]| h[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = h.iter().map(|b| u32::from(*b)).sum();
    h[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    h.extend(content);
    h.resize(h.len().div_ceil(512) * 512, 0);
    h
}

fn file(name: &str, content: &str) -> Vec<u8> {
    entry(name, b'0', 0o644, content.as_bytes(), "")
}

/// Two layers; the second hides the key of the first.
fn layers(hide: bool) -> [Vec<u8>; 2] {
    let one = [
        entry("etc/", b'5', 0o755, b"", ""),
        file("etc/debian_version", "12.8\n"),
        file(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/usr/sbin/nologin\n",
        ),
        file("etc/group", "root:x:0:\nalice:x:1000:\n"),
        file("etc/ssh/sshd_config", "Port 2222\nUsePAM yes\n"),
        file("etc/pam.d/sshd", "session required pam_loginuid.so\n"),
        entry(
            "usr/sbin/sshd",
            b'0',
            0o755,
            b"\x7fELF OpenSSH_9.2p1 Debian-2",
            "",
        ),
        entry("usr/sbin/nologin", b'0', 0o755, b"", ""),
        entry("etc/ssh/ssh_host_ed25519_key", b'0', 0o600, b"secret", ""),
        file("entry.sh", "#!/bin/sh\nmkdir -p /run/sshd\nexec \"$@\"\n"),
        vec![0; 1024],
    ];
    let two = [
        if hide {
            file("etc/ssh/.wh.ssh_host_ed25519_key", "")
        } else {
            Vec::new()
        },
        // None of these may come to be outside of the image.
        file("../escape", "x"),
        entry("lib", b'2', 0o777, b"", "/tmp"),
        file("lib/sshwhy-escape", "x"),
        vec![0; 1024],
    ];
    [one.concat(), two.concat()]
}

const CONFIG: &str = r#"{"config":{"User":"","ExposedPorts":{"22/tcp":{}},"Entrypoint":["/entry.sh"],"Cmd":["/usr/sbin/sshd","-D"]},"history":[{"created_by":"RUN echo root:x | chpasswd"}]}"#;

fn saved(hide: bool) -> Vec<u8> {
    let [one, two] = layers(hide);
    let pack = |b: &[u8]| zstd(b);
    [
        // The manifest comes last, as docker writes it.
        entry("blobs/sha256/a", b'0', 0o644, &one, ""),
        entry("blobs/sha256/b", b'0', 0o644, &pack(&two), ""),
        file("blobs/sha256/c", CONFIG),
        file(
            "manifest.json",
            r#"[{"Config":"blobs/sha256/c","Layers":["blobs/sha256/a","blobs/sha256/b"]}]"#,
        ),
        vec![0; 1024],
    ]
    .concat()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn place(name: &str) -> Place {
    let p = std::env::temp_dir().join(format!("sshwhy-image-test-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&p);
    fs::create_dir_all(&p).unwrap();
    Place(p)
}

fn doctor(args: &[&str], path: &Path) -> (serde_json::Value, i32) {
    let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(["doctor", "--format", "json"])
        .args(args)
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|_| serde_json::Value::String(String::from_utf8_lossy(&out.stderr).into()));
    (value, out.status.code().unwrap())
}

fn slugs(v: &serde_json::Value) -> Vec<&str> {
    let found = v["findings"].as_array().unwrap_or_else(|| panic!("{v}"));
    found.iter().map(|f| f["slug"].as_str().unwrap()).collect()
}

#[test]
fn a_saved_image_is_judged_as_a_container() {
    let p = place("saved");
    let path = p.0.join("image.tar.zst");
    fs::write(&path, zstd(&saved(false))).unwrap();
    let (v, code) = doctor(&["--user", "alice", "--image"], &path);
    let found = slugs(&v);
    for want in [
        "image-host-keys-baked",
        "image-password-baked",
        "image-loginuid",
        "image-port-not-exposed",
        "shell-nologin",
    ] {
        assert!(found.contains(&want), "{want}: {found:?}");
    }
    for not in [
        "image-privsep-missing",
        "image-sshd-not-started",
        "image-host-keys-missing",
        "sshd-not-running",
    ] {
        assert!(!found.contains(&not), "{not}: {found:?}");
    }
    // 3 where something of the machine cannot be seen in an image.
    assert!(matches!(code, 1 | 3), "{code}: {}", v["blind"]);
    assert!(!v.to_string().contains("secret"), "no key may be shown");
    assert!(!Path::new("/tmp/sshwhy-escape").exists() && !p.0.join("../escape").exists());
    assert!(
        v["notes"].to_string().contains("lead out"),
        "{}",
        v["notes"]
    );
    let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let left: Vec<_> = left
        .filter(|e| {
            e.file_name().to_string_lossy().starts_with("sshwhy-image-")
                && !e.file_name().to_string_lossy().contains("test")
        })
        .collect();
    assert!(
        left.len() < 4,
        "the laid out image is removed again: {left:?}"
    );
}

#[test]
fn a_key_that_a_later_layer_hides_is_still_in_the_image() {
    let p = place("hidden");
    let path = p.0.join("image.tar");
    fs::write(&path, saved(true)).unwrap();
    let (v, _) = doctor(&["--image"], &path);
    let found = slugs(&v);
    assert!(found.contains(&"image-host-keys-baked"), "{found:?}");
    assert!(
        found.contains(&"image-host-keys-missing"),
        "the whiteout counts: {found:?}"
    );
}

#[test]
fn an_oci_layout_as_a_folder() {
    let p = place("oci");
    let blobs = p.0.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let [one, two] = layers(false);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&one).unwrap();
    for (name, bytes) in [
        ("a", gz.finish().unwrap()),
        ("b", two),
        ("c", CONFIG.into()),
        ("m", br#"{"config":{"digest":"sha256:c"},"layers":[{"digest":"sha256:a"},{"digest":"sha256:b"}]}"#.to_vec()),
    ] {
        fs::write(blobs.join(name), bytes).unwrap();
    }
    fs::write(
        p.0.join("index.json"),
        r#"{"manifests":[{"digest":"sha256:m","platform":{"architecture":"amd64"}}]}"#,
    )
    .unwrap();
    let (v, _) = doctor(&["--image"], &p.0);
    assert!(slugs(&v).contains(&"image-host-keys-baked"), "{v}");
}

#[test]
fn what_is_no_image_is_told() {
    let p = place("none");
    let path = p.0.join("x.tar");
    for bytes in [
        Vec::new(),
        b"hello".repeat(300),
        file("a", "b"),
        [file("manifest.json", "[{}]"), vec![0; 1024]].concat(),
    ] {
        fs::write(&path, &bytes).unwrap();
        let (v, code) = doctor(&["--image"], &path);
        assert_eq!(code, 2, "{v}");
    }
}

#[test]
fn a_dockerfile_is_judged_and_patched() {
    let p = place("dockerfile");
    let path = p.0.join("Dockerfile");
    fs::write(
        &path,
        "FROM debian:12\nRUN apt-get install -y openssh-server\nCMD [\"/usr/sbin/sshd\"]\n",
    )
    .unwrap();
    let (v, code) = doctor(&["--dockerfile"], &path);
    assert_eq!(code, 1);
    assert!(slugs(&v).contains(&"image-privsep-missing"), "{v}");
    let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(["doctor", "--fix", "--dockerfile"])
        .arg(&path)
        .output()
        .unwrap();
    let patch = p.0.join("patch");
    fs::write(&patch, &out.stdout).unwrap();
    let done = Command::new("patch")
        .arg("--quiet")
        .arg(&path)
        .arg(&patch)
        .status();
    let Ok(done) = done else {
        eprintln!("skipped: image::a_dockerfile_is_judged_and_patched: there is no patch(1)");
        return;
    };
    assert!(done.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let (v, code) = doctor(&["--dockerfile"], &path);
    assert_eq!((slugs(&v), code), (vec![], 0));
}
