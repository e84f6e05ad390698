package cli

import (
	"github.com/spf13/pflag"

	"lbctl/control/client"
)

// daemonFlags adds the flags that say which daemon a command talks to, and by what it is known there. Each has an environment
// variable; a flag goes before it, and --socket before LBCTL_SERVER.
func (a *App) daemonFlags(f *pflag.FlagSet) {
	add := func(to *string, name, variable, def, help string) { a.FlagOrVariable(f, to, name, variable, def, help) }
	add(&a.Socket, "socket", "LBCTL_SOCKET", client.DefaultSocket, "the daemon's unix socket")
	add(&a.target.Server, "server", "LBCTL_SERVER", "", "a daemon over TCP instead of the socket: https://HOST:PORT")
	add(&a.target.Token, "token-file", "LBCTL_TOKEN_FILE", "", "with --server: the file with a token, mode 0600")
	add(&a.target.Certificate, "client-cert", "LBCTL_CLIENT_CERT", "", "with --server: the client's certificate, PEM")
	add(&a.target.Key, "client-key", "LBCTL_CLIENT_KEY", "", "with --server: its key, PEM")
	add(&a.target.CA, "ca", "LBCTL_CA", "", "with --server: the CAs of the server's certificate, PEM; else those of the system")
	a.flags = f
}

// FlagOrVariable adds a flag whose default is the value of an environment variable, or def where that is not set.
func (a *App) FlagOrVariable(f *pflag.FlagSet, to *string, name, variable, def, help string) {
	if set := a.Getenv(variable); set != "" {
		def = set
	}
	f.StringVar(to, name, def, help+" (environment: "+variable+")")
}

// Client returns a client of the daemon that flags and environment name. It does not connect: what is wrong with them every call says.
func (a *App) Client() *client.Client {
	t := a.target
	t.Socket = a.Socket
	if a.flags.Changed("socket") && !a.flags.Changed("server") {
		t.Server = ""
	}
	return client.To(t)
}
