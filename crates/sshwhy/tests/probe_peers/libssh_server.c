/* A server on libssh, for the test that asks the probe about one: takes the one key that it is given, and runs nothing.
 * Arguments: host key file, public key file. Prints its port. */
#include <arpa/inet.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int wanted(ssh_session session, ssh_key wants) {
  for (;;) {
    ssh_message m = ssh_message_get(session);
    if (!m) return 0;
    if (ssh_message_type(m) == SSH_REQUEST_AUTH && ssh_message_subtype(m) == SSH_AUTH_METHOD_PUBLICKEY &&
        !ssh_key_cmp(ssh_message_auth_pubkey(m), wants, SSH_KEY_CMP_PUBLIC)) {
      if (ssh_message_auth_publickey_state(m) == SSH_PUBLICKEY_STATE_VALID) {
        ssh_message_auth_reply_success(m, 0);
        ssh_message_free(m);
        return 1;
      }
      if (ssh_message_auth_publickey_state(m) == SSH_PUBLICKEY_STATE_NONE) {
        ssh_message_auth_reply_pk_ok_simple(m);
        ssh_message_free(m);
        continue;
      }
    }
    if (ssh_message_type(m) == SSH_REQUEST_AUTH) ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_message_reply_default(m);
    ssh_message_free(m);
  }
}

static void serve(ssh_session session, ssh_key wants) {
  ssh_channel channel = NULL;
  if (ssh_handle_key_exchange(session) != SSH_OK || !wanted(session, wants)) return;
  for (ssh_message m; (m = ssh_message_get(session)); ssh_message_free(m)) {
    int type = ssh_message_type(m), sub = ssh_message_subtype(m);
    if (type == SSH_REQUEST_CHANNEL_OPEN && sub == SSH_CHANNEL_SESSION) {
      channel = ssh_message_channel_request_open_reply_accept(m);
    } else if (type == SSH_REQUEST_CHANNEL && sub == SSH_CHANNEL_REQUEST_PTY) {
      ssh_message_channel_request_reply_success(m);
    } else if (type == SSH_REQUEST_CHANNEL && sub == SSH_CHANNEL_REQUEST_EXEC && channel) {
      ssh_message_channel_request_reply_success(m);
      ssh_channel_request_send_exit_status(channel, 0);
      ssh_channel_send_eof(channel);
      ssh_channel_close(channel);
    } else {
      ssh_message_reply_default(m);
    }
  }
}

int main(int n, char **words) {
  if (n != 3) return 2;
  ssh_key wants = NULL;
  if (ssh_pki_import_pubkey_file(words[2], &wants) != SSH_OK) return 3;
  /* A socket of our own, so that the port is any that is free. */
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&at, &length))
    return 4;
  ssh_bind server = ssh_bind_new();
  if (ssh_bind_options_set(server, SSH_BIND_OPTIONS_HOSTKEY, words[1]) != SSH_OK) return 5;
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    int one = accept(fd, NULL, NULL);
    if (one < 0) return 6;
    if (fork() == 0) {
      ssh_session session = ssh_new();
      if (ssh_bind_accept_fd(server, session, one) == SSH_OK) serve(session, wants);
      ssh_disconnect(session);
      ssh_free(session);
      exit(0);
    }
    close(one);
  }
}
