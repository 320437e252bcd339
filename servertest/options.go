package servertest

import (
	"maps"
	"slices"
	"strings"
)

// Defaults of a [Server].
const (
	DefaultHost   = "xmpp.test"
	DefaultDomain = "gateway.xmpp.test"
	DefaultSecret = "secret"
)

// Conflict says which of two links of one component stays. Only Prosody has it; ejabberd takes any number of links and spreads the
// stanzas over them.
type Conflict string

// Conflict policies, named as in Prosody's option component_conflict_resolve.
const (
	KickNew Conflict = "kick_new" // the second link is refused with <conflict/>; Prosody's default
	KickOld Conflict = "kick_old" // the first link is closed with <conflict/>
)

// Option changes how a [Server] is started.
type Option func(*config)

type config struct {
	components []component
	accounts   map[string]string
	conflict   Conflict
	noArchive  bool
	without    []string
	prosody    []string
	ejabberd   []string
}

type component struct{ domain, secret string }

func newConfig(opts []Option) config {
	c := config{
		components: []component{{DefaultDomain, DefaultSecret}},
		accounts:   map[string]string{"admin": "admin", "test": "test", "user2": "user2"},
		conflict:   KickNew,
	}
	for _, o := range opts {
		o(&c)
	}
	return c
}

// WithComponent configures another component beside [DefaultDomain].
func WithComponent(domain, secret string) Option {
	return func(c *config) { c.components = append(c.components, component{domain, secret}) }
}

// WithAccount creates another account beside admin, test and user2, whose passwords are their names. The user is a localpart at the
// server's host, or "user@host" for a host that the configuration of [WithProsodyConfig] or [WithEjabberdConfig] adds.
func WithAccount(user, password string) Option {
	return func(c *config) { c.accounts[user] = password }
}

// WithConflict sets the conflict policy, [KickNew] by default. It is ignored by ejabberd.
func WithConflict(policy Conflict) Option {
	return func(c *config) { c.conflict = policy }
}

// WithoutArchive turns the message archive (XEP-0313) off. A grown archive slows a sender by up to two orders of magnitude, so
// tests of throughput want it off.
func WithoutArchive() Option {
	return func(c *config) { c.noArchive = true }
}

// WithoutModules leaves modules out that the server has otherwise. They have Prosody's names; ejabberd's are the same behind "mod_". Where
// ejabberd has no such module, or with settings, that is no error.
func WithoutModules(names ...string) Option {
	return func(c *config) { c.without = append(c.without, names...) }
}

// WithProsodyConfig adds configuration (Lua) that Prosody reads last. Sections may be opened again:
//
//	VirtualHost "xmpp.test"
//	privileged_entities = { ["gateway.xmpp.test"] = { roster = "both" } }
//
// Ejabberd ignores it.
func WithProsodyConfig(lua string) Option {
	return func(c *config) { c.prosody = append(c.prosody, lua) }
}

// WithEjabberdConfig adds configuration (YAML) that is merged into ejabberd's. Modules go under append_host_config, since they
// cannot be named twice at the top:
//
//	append_host_config:
//	  xmpp.test:
//	    modules:
//	      mod_delegation: {}
//
// It is also the way to mod_privilege, which is left out otherwise: ejabberd 24.12 with it silently drops every ordinary IQ from a
// component to a bare or host address (repaired in 25.03). Prosody ignores it.
func WithEjabberdConfig(yaml string) Option {
	return func(c *config) { c.ejabberd = append(c.ejabberd, yaml) }
}

// PlainHost is the host of [WithPlainHost].
const PlainHost = "plain." + DefaultHost

// WithPlainHost adds a host that keeps passwords as they are, so that it has each mechanism that the server knows, and on it the
// account test.
func WithPlainHost() Option {
	return func(c *config) {
		WithAccount("test@"+PlainHost, "test")(c)
		WithProsodyConfig("VirtualHost \"" + PlainHost + "\"\nauthentication = \"internal_plain\"\n")(c)
		WithEjabberdConfig("hosts:\n  - " + PlainHost + "\nhost_config:\n  " + PlainHost +
			":\n    auth_password_format: plain\n    disable_sasl_mechanisms: []\n    oauth_access: all\n")(c)
	}
}

// extra is the added configuration for a kind of server.
func (c *config) extra(kind Kind) string {
	parts := c.prosody
	if kind == KindEjabberd {
		parts = c.ejabberd
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "\n") + "\n"
}

// environment is what the entry points take from the configuration.
func (c *config) environment() map[string]string {
	env := map[string]string{
		"XMPP_HOST":      DefaultHost,
		"XMPP_CONFLICT":  string(c.conflict),
		"XMPP_ARCHIVE":   "on",
		"XMPP_LOG_LEVEL": logLevel(),
	}
	if c.noArchive {
		env["XMPP_ARCHIVE"] = "off"
	}
	if len(c.without) > 0 {
		env["XMPP_WITHOUT"] = strings.Join(c.without, " ")
	}
	var accounts []string
	for _, user := range slices.Sorted(maps.Keys(c.accounts)) {
		accounts = append(accounts, user+"="+c.accounts[user])
	}
	env["XMPP_ACCOUNTS"] = strings.Join(accounts, " ")
	return env
}
