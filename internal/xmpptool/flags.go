package xmpptool

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/jid"
)

// flags adds the flags for an account and a server, each of which has an environment variable.
func (a *account) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&a.JSON, "json", false, "Write JSON in place of text.")
	flags.VarP(&address{to: &a.JID}, "jid", "u", "Account to sign in with.")
	flags.StringVar(&a.PasswordFile, "password-file", "", "`FILE` whose first line is the password. Without one it is taken from $"+passwordVar+", or asked for.")
	flags.BoolVar(&a.AllowPlain, "allow-plain", false, "Show the server the password where it knows no better way to sign in.")
	flags.StringVar(&a.Server, "server", "", "Where to connect (`HOST:PORT`), in place of what DNS says.")
	flags.BoolVar(&a.DirectTLS, "direct-tls", false, "TLS from the first byte on at --server, in place of STARTTLS.")
	flags.StringVar(&a.CA, "ca", "", "PEM `FILE` with the authorities to trust, in place of the system's.")
	flags.DurationVar(&a.Timeout, "timeout", 30*time.Second, "How long connecting may take, and each answer.")
	for flag, variable := range map[string]string{
		"jid": "XMPP_JID", "password-file": "XMPP_PASSWORD_FILE", "allow-plain": "XMPP_ALLOW_PLAIN",
		"server": "XMPP_SERVER", "direct-tls": "XMPP_DIRECT_TLS", "ca": "XMPP_CA", "timeout": "XMPP_TIMEOUT",
	} {
		cli.Group(flags, "Account and server:", flag)
		cli.Env(flags, flag, variable)
	}
}

// address is an address on the command line, or a list of them where add is set.
type address struct {
	to  *jid.JID
	add *[]jid.JID
}

// Set implements pflag.Value. The error must not repeat control characters on a terminal.
func (a *address) Set(text string) error {
	j, err := jid.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an address: %w", text, err)
	case a.add != nil:
		*a.add = append(*a.add, j)
	default:
		*a.to = j
	}
	return nil
}

// String implements pflag.Value. There is no default.
func (*address) String() string { return "" }

// Type implements pflag.Value. It is what help calls the value.
func (*address) Type() string { return "JID" }
