//! Lines in, sessions out.

use super::*;
use crate::catalog::messages::Message;

fn record(pid: u32, port: u16) -> Record {
    Record {
        time: 0,
        line: 0,
        start: 0,
        len: 0,
        pid,
        addr: NONE,
        user: NONE,
        repeat: 1,
        host: 0,
        row: 0,
        port,
        text: 0,
        flags: 0,
    }
}

struct World {
    sessions: Sessions,
    done: Vec<Session>,
    line: u64,
}

impl World {
    fn new(limit: usize) -> World {
        World {
            sessions: Sessions::new(limit),
            done: Vec::new(),
            line: 0,
        }
    }

    fn say(
        &mut self,
        second: i64,
        pid: u32,
        addr: AddrId,
        port: u16,
        user: UserId,
        role: Role,
    ) -> Option<Session> {
        self.line += 1;
        let at = LineRef {
            file: 0,
            line: self.line,
        };
        let slot = self.sessions.attach(
            &record(pid, port),
            0,
            addr,
            user,
            role,
            Time::from_secs(second),
            at,
            &mut self.done,
        )?;
        self.sessions.get(slot).cloned()
    }

    fn end(mut self) -> Vec<Session> {
        self.sessions.drain(&mut self.done);
        self.done
    }
}

#[test]
fn lines_of_one_pid_are_one_session_and_lend_their_address() {
    let mut w = World::new(10);
    w.say(0, 5, 1, 4000, NONE, Role::Connection);
    let s = w.say(1, 5, NONE, 0, NONE, Role::Symptom).unwrap();
    assert_eq!((s.addr, s.port), (1, 4000));
    w.say(2, 5, 1, 4000, 7, Role::Failed);
    w.say(3, 5, 1, 4000, 7, Role::Closed);
    let done = w.end();
    assert_eq!(done.len(), 1);
    assert_eq!(
        (done[0].failures, done[0].lines, done[0].outcome()),
        (1, 4, "auth-failure")
    );
}

#[test]
fn roles_follow_the_catalogue() {
    let rows: std::collections::HashMap<&str, &Message> = crate::catalog::messages::all()
        .map(|m| (m.slug, m))
        .collect();
    for (slug, role) in [
        ("failed-password", Role::Failed),
        ("failed-password-invalid-user", Role::Failed),
        ("failed-none-invalid-user", Role::FailedKey),
        ("failed-gssapi-with-mic", Role::FailedKey),
        ("pam-authentication-failure", Role::FailedPam),
        ("pam-password-check-failed", Role::Other),
        ("pam-authentication-failed", Role::FailedDialogue),
        ("invalid-user", Role::InvalidUser),
        ("key-found-in-file", Role::Other),
        ("keys-command-failed", Role::Symptom),
        ("connection-closed-authenticating", Role::Closed),
        ("disconnecting-too-many-failures", Role::Closed),
        ("no-identification-string", Role::Silent),
        ("kex-identification-closed", Role::Silent),
        ("kex-identification-invalid", Role::Probe),
        ("protocol-version-differs", Role::Probe),
        ("dispatch-corrupted", Role::Probe),
        ("dispatch-reset", Role::Closed),
        ("disconnected-user", Role::LoggedOut),
        ("timeout-client-not-responding", Role::LoggedOut),
        ("timeout-channel", Role::Other),
        ("maxstartups-drop", Role::Dropped),
        ("maxstartups-exit", Role::Dropped),
        ("refused-connect", Role::Dropped),
        ("conntrack-full", Role::Other),
        ("bad-ownership-or-modes", Role::Symptom),
        ("pubkey-algorithm-rejected", Role::Symptom),
        ("authorized-keys-missing", Role::Symptom),
        ("not-allowed-allowusers", Role::NotAllowed),
        ("pam-unix-account-expired", Role::NotAllowed),
        ("partial-authentication", Role::Other),
        ("accepted-none", Role::Accepted),
        ("dropbear-password-partial", Role::Other),
        ("dropbear-exit-before-auth-user", Role::Closed),
    ] {
        assert_eq!(
            rows.get(slug).map(|row| Role::of(row)),
            Some(role),
            "{slug}"
        );
    }
}

#[test]
fn the_end_of_a_login_from_before_the_log_is_no_attempt() {
    let mut w = World::new(10);
    w.say(0, 6, 1, 4000, 7, Role::LoggedOut);
    w.say(0, 7, 1, 4001, NONE, Role::Closed);
    let done = w.end();
    let what: Vec<(u32, bool)> = done
        .iter()
        .map(|s| (s.attempts_failed(), s.without_attempt()))
        .collect();
    assert_eq!(what, [(0, false), (0, true)]);
}

#[test]
fn names_refused_again_in_one_connection_count_again() {
    let mut w = World::new(10);
    w.say(0, 5, 1, 4000, 7, Role::InvalidUser);
    w.say(1, 5, 1, 4000, 8, Role::InvalidUser);
    w.say(1, 5, NONE, 0, NONE, Role::InvalidUser);
    w.say(0, 6, 1, 4001, 7, Role::InvalidUser);
    w.say(2, 6, 1, 4001, 7, Role::Failed);
    let counts: Vec<u32> = w.end().iter().map(Session::attempts_failed).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn what_pam_says_on_the_way_to_success_is_no_failure() {
    let mut w = World::new(10);
    w.say(0, 5, 1, 0, 7, Role::FailedPam);
    w.say(1, 5, 1, 4000, 7, Role::Accepted);
    w.say(2, 6, 1, 0, 7, Role::FailedPam);
    let done = w.end();
    let counts: Vec<u32> = done.iter().map(Session::attempts_failed).collect();
    assert_eq!(counts, [0, 1]);
}

#[test]
fn a_reused_pid_with_another_peer_is_another_session() {
    let mut w = World::new(10);
    w.say(0, 5, 1, 4000, 7, Role::Failed);
    w.say(1, 5, 2, 4000, 7, Role::Failed);
    let done = w.end();
    assert_eq!(done.len(), 2);
    assert_eq!(done[0].end, End::Superseded);
}

#[test]
fn the_users_own_process_belongs_to_the_login() {
    let mut w = World::new(10);
    w.say(0, 5, 1, 4000, 7, Role::Accepted);
    w.say(90, 6, 1, 4000, 7, Role::Closed);
    w.say(90, 5, NONE, 0, 7, Role::SessionClosed);
    w.say(500, 9, 3, 1, NONE, Role::Connection);
    let done = w.end();
    assert_eq!(done.len(), 2);
    assert_eq!(
        (done[0].outcome(), done[0].lines, done[0].end),
        ("success", 3, End::Closed)
    );
    assert_eq!(done[0].last.secs() - done[0].first.secs(), 90);
}

#[test]
fn a_late_line_still_finds_its_session() {
    let mut w = World::new(10);
    w.say(0, 5, 1, 4000, 7, Role::Failed);
    w.say(1, 5, 1, 4000, 7, Role::Closed);
    w.say(2, 5, NONE, 0, NONE, Role::FailedPam);
    w.say(100, 8, 2, 1, NONE, Role::Connection);
    let done = w.end();
    assert_eq!((done[0].lines, done[0].pam_failures), (3, 1));
}

#[test]
fn open_sessions_are_bounded() {
    let mut w = World::new(3);
    for i in 0..50u32 {
        w.say(i64::from(i), i + 1, i, 4000, 7, Role::Accepted);
    }
    assert_eq!(w.sessions.overflowed, 47);
    assert_eq!(w.end().len(), 50);
}
