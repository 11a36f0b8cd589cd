use super::*;

/// A world made of a few files.
#[derive(Default)]
struct Paper {
    files: Vec<(&'static str, &'static str)>,
    names: Vec<(&'static str, &'static str)>,
    ran: Vec<String>,
}

impl World for Paper {
    fn read(&mut self, path: &str, _check: bool) -> Result<Option<Vec<u8>>, super::Unsafe> {
        if path == "/bad" {
            return Err(super::Unsafe);
        }
        let found = self.files.iter().find(|(name, _)| *name == path);
        Ok(found.map(|(_, text)| text.as_bytes().to_vec()))
    }

    fn glob(&mut self, pattern: &str) -> Vec<String> {
        let fits = |name: &&'static str| crate::config::pattern::matches(name, pattern);
        let names = self.files.iter().map(|(name, _)| *name);
        names.filter(fits).map(str::to_owned).collect()
    }

    fn exec(&mut self, command: &str) -> bool {
        self.ran.push(command.to_owned());
        command.starts_with("true")
    }

    fn local_network(&mut self, networks: &str) -> bool {
        networks == "10.0.0.0/8"
    }

    fn env(&mut self, name: &str) -> Option<String> {
        (name == "HERE").then(|| "there".to_owned())
    }

    fn canonical(&mut self, name: &str) -> Option<String> {
        let found = self.names.iter().find(|(n, _)| *n == name);
        found.map(|(_, to)| (*to).to_owned())
    }
}

fn client() -> Client {
    Client {
        user: "me".into(),
        home: "/home/me".into(),
        uid: 1000,
        hostname: "box.example".into(),
    }
}

fn run(world: &mut Paper, host: &str, settings: &[(&str, &str)]) -> Result<Effective, Refused> {
    let typed = Typed {
        host: host.to_owned(),
        settings: settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Typed::default()
    };
    let files = Files {
        user: Some("/home/me/.ssh/config"),
        system: "/etc/ssh/ssh_config",
    };
    evaluate(&typed, files, &client(), &Lists::default(), world)
}

fn paper(user: &'static str) -> Paper {
    Paper {
        files: vec![("/home/me/.ssh/config", user)],
        ..Paper::default()
    }
}

fn get(e: &Effective, key: &str) -> String {
    e.first(key).map(|v| v.text.clone()).unwrap_or_default()
}

#[test]
fn the_first_value_wins_and_says_where_it_stands() {
    let mut world = paper("Port 1\nHost a*\n Port 2\n User x\nHost *\n User y\n");
    let e = run(&mut world, "abc", &[]).unwrap();
    assert_eq!((get(&e, "port"), get(&e, "user")), ("1".into(), "x".into()));
    assert_eq!(e.first("user").unwrap().place.as_ref().unwrap().line, 4);
    let e = run(&mut world, "other", &[("User", "typed")]).unwrap();
    assert_eq!(get(&e, "user"), "typed");
    let place = e.first("user").unwrap().place.clone().unwrap();
    assert_eq!(place.file, "command-line");
    assert_eq!(get(&run(&mut world, "other", &[]).unwrap(), "user"), "y");
}

#[test]
fn blocks_includes_and_exec() {
    let mut world = paper(
        "Match originalhost x exec \"true %h %n %r\"\n HostName real.example\nMatch host real.example\n Port 9\nInclude parts/*\nHost !x *\n User no\nMatch localnetwork 10.0.0.0/8\n LogLevel debug\n",
    );
    world.files.push((
        "/home/me/.ssh/parts/a",
        "Host x\n User inner\nHost nothing\n Compression yes\n",
    ));
    let e = run(&mut world, "x", &[]).unwrap();
    assert_eq!(get(&e, "hostname"), "real.example");
    assert_eq!(get(&e, "port"), "9");
    assert_eq!(get(&e, "user"), "inner");
    assert_eq!(get(&e, "loglevel"), "DEBUG");
    assert_eq!(get(&e, "compression"), "no");
    assert_eq!(world.ran, ["true x x me"]);
    let place = e.first("user").unwrap().place.clone().unwrap();
    assert_eq!(
        (place.file.as_str(), place.line),
        ("/home/me/.ssh/parts/a", 2)
    );
}

#[test]
fn names_become_canonical_and_the_file_is_read_again() {
    let text = "CanonicalizeHostname yes\nCanonicalDomains lab.example\nCanonicalizePermittedCNAMEs *.lab.example:*.real.example\nHost srv.real.example\n User second\nMatch final\n Port 7\n";
    let mut world = paper(text);
    world.names = vec![("srv.lab.example", "srv.real.example.")];
    let e = run(&mut world, "SRV", &[]).unwrap();
    assert_eq!(get(&e, "hostname"), "srv.real.example");
    assert_eq!(get(&e, "user"), "second");
    assert_eq!(get(&e, "port"), "7");
    let e = run(&mut world, "elsewhere", &[]).unwrap();
    assert_eq!(get(&e, "hostname"), "elsewhere");
    let refused = run(
        &mut world,
        "elsewhere",
        &[("CanonicalizeFallbackLocal", "no")],
    );
    assert!(refused.unwrap_err().0[0].contains("Could not resolve host \"elsewhere\""));
}

#[test]
fn what_ssh_refuses_is_refused_in_its_words() {
    let said = |text: &'static str| run(&mut paper(text), "h", &[]).unwrap_err().0.join("\n");
    assert!(
        said("\nPrt 22\n").contains("/home/me/.ssh/config: line 2: Bad configuration option: prt")
    );
    assert!(said("Port x\n").contains("config line 1: Bad port 'x'."));
    assert!(said("Ciphers none-such\n").contains("Bad SSH2 cipher spec 'none-such'."));
    assert!(said("User \"a\nPort\n").contains("invalid quotes"));
    assert!(said("Port\n").contains("no argument after keyword \"port\""));
    assert!(said("Match nonsense x\n").contains("Bad Match condition"));
    assert!(said("BatchMode perhaps\n").contains("unsupported option \"perhaps\"."));
    assert!(run(&mut paper("IgnoreUnknown prt\nPrt 22\n"), "h", &[]).is_ok());
    let deprecated = run(
        &mut paper("RSAAuthentication yes\nUsePrivilegedPort no\n"),
        "h",
        &[],
    )
    .unwrap();
    assert_eq!(deprecated.remarks.len(), 2);
}

#[test]
fn includes_that_go_round_end() {
    let mut world = paper("Include ~/.ssh/config\n");
    let refused = run(&mut world, "h", &[]).unwrap_err();
    assert_eq!(refused.0, ["Too many recursive configuration includes"]);
}

#[test]
fn tokens_jumps_and_proxies() {
    let mut world = paper(
        "ControlPath ~/%r@%h:%p-${HERE}\nProxyJump a,b@c:3\nProxyCommand nc %h\nIdentityFile ~/.ssh/%r\n",
    );
    let e = run(&mut world, "H", &[]).unwrap();
    assert_eq!(get(&e, "controlpath"), "/home/me/me@h:22-there");
    assert_eq!(get(&e, "proxyjump"), "a,b@c:3");
    assert!(e.first("proxycommand").is_none());
    assert_eq!(get(&e, "identityfile"), "~/.ssh/%r");
    assert_eq!(
        e.tokens.percent(&e.tokens.tilde("~/.ssh/%r")).unwrap(),
        "/home/me/.ssh/me"
    );
    let e = run(&mut paper("ProxyJump none\n"), "h", &[]).unwrap();
    assert!(e.first("proxyjump").is_none());
}

#[test]
fn lists_of_algorithms_grow_shrink_and_change_order() {
    let lists = Lists::default();
    let class = algorithms::Class::Cipher;
    assert!(
        lists
            .assemble(class, "+aes128-cbc")
            .ends_with(&["aes128-cbc".to_owned()])
    );
    assert_eq!(lists.assemble(class, "^aes256-ctr")[0], "aes256-ctr");
    assert!(
        !lists
            .assemble(class, "-*gcm*")
            .iter()
            .any(|c| c.contains("gcm"))
    );
    assert_eq!(lists.assemble(class, "aes128-ctr"), ["aes128-ctr"]);
    assert!(!lists.is_sound(class, "+nothing") && lists.is_sound(class, "-nothing"));
}
