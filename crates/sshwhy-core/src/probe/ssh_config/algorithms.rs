//! Lists of algorithms in ssh_config: `+`, `-`, `^` and patterns, against what a build knows and what it does by default
//! (kex.c kex_assemble_names(), match.c).

use crate::config::pattern;

/// Which list a keyword is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Cipher,
    Mac,
    Kex,
    /// Host keys and user keys, certificates among them.
    Key,
    /// What authorities may sign with.
    Signature,
}

/// What one build of ssh knows and proposes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lists {
    /// Everything it knows, by class: cipher, MAC, key exchange, key.
    pub all: [Vec<String>; 4],
    /// What it proposes where nothing is configured, by class: cipher, MAC, key exchange, key, signature.
    pub default: [Vec<String>; 5],
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

impl Default for Lists {
    /// OpenSSH 10.0 (myproposal.h).
    fn default() -> Lists {
        let ciphers = "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";
        let macs = "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1";
        let kex = "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521";
        let plain = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";
        let certs = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com";
        let old_ciphers = "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc";
        let old_macs = "hmac-sha1-96,hmac-md5,hmac-md5-96,hmac-sha1-96-etm@openssh.com,hmac-md5-etm@openssh.com,hmac-md5-96-etm@openssh.com";
        let old_kex = "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256";
        let old_keys = "ssh-rsa,ssh-rsa-cert-v01@openssh.com,ssh-dss,ssh-dss-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com";
        let keys = format!("{certs},{plain}");
        Lists {
            all: [
                list(&format!("{old_ciphers},{ciphers}")),
                list(&format!("{old_macs},{macs}")),
                list(&format!("{old_kex},{kex}")),
                list(&format!("{keys},{old_keys}")),
            ],
            default: [
                list(ciphers),
                list(macs),
                list(kex),
                list(&keys),
                list(plain),
            ],
        }
    }
}

impl Lists {
    fn all(&self, class: Class) -> &[String] {
        let at = match class {
            Class::Cipher => 0,
            Class::Mac => 1,
            Class::Kex => 2,
            Class::Key | Class::Signature => 3,
        };
        self.all.get(at).map_or(&[], Vec::as_slice)
    }

    pub fn default_of(&self, class: Class) -> &[String] {
        let at = match class {
            Class::Cipher => 0,
            Class::Mac => 1,
            Class::Kex => 2,
            Class::Key => 3,
            Class::Signature => 4,
        };
        self.default.get(at).map_or(&[], Vec::as_slice)
    }

    /// Whether ssh takes the list at all: every name known, or for keys a pattern that fits something.
    pub fn is_sound(&self, class: Class, text: &str) -> bool {
        if text.starts_with('-') {
            return true;
        }
        let names = text.strip_prefix(['+', '^']).unwrap_or(text);
        let keys = matches!(class, Class::Key | Class::Signature);
        !names.is_empty()
            && names.split(',').all(|name| {
                let known = self.all(class).iter().any(|n| n == name);
                let fits = || self.all(class).iter().any(|n| pattern::matches(n, name));
                known || keys && fits()
            })
    }

    /// The list that comes of it.
    pub fn assemble(&self, class: Class, text: &str) -> Vec<String> {
        let default = self.default_of(class);
        let names = |t: &str| -> Vec<String> { t.split(',').map(str::to_owned).collect() };
        let wanted: Vec<String> = if let Some(more) = text.strip_prefix('+') {
            default.iter().cloned().chain(names(more)).collect()
        } else if let Some(less) = text.strip_prefix('-') {
            return default
                .iter()
                .filter(|n| !less.split(',').any(|p| pattern::matches(n, p)))
                .cloned()
                .collect();
        } else if let Some(first) = text.strip_prefix('^') {
            names(first)
                .into_iter()
                .chain(default.iter().cloned())
                .collect()
        } else {
            names(text)
        };
        let mut out: Vec<String> = Vec::new();
        for pattern in &wanted {
            for name in self.all(class) {
                let plain = class != Class::Signature || !name.contains("-cert-v01@");
                if plain && pattern::matches(name, pattern) && !out.contains(name) {
                    out.push(name.clone());
                }
            }
        }
        out
    }
}
