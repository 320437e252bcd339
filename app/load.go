package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/settings"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// source is where the configuration comes from.
type source struct {
	file     string // or ""
	environ  []string
	prefix   string            // of environment variables
	program  string            // name of the program
	flags    map[string]string // by name, without dashes
	sections []section
	// stateOnly reads all and checks only what concerns the gateway's state.
	stateOnly bool
}

// section is a part of the configuration that belongs to the network.
type section struct {
	name string
	into any // pointer to a struct that holds the defaults
}

// Validator is a struct of [WithSettings] that can tell whether its values make sense together.
type Validator interface{ Validate() error }

// load reads the configuration. The error is of type settings.Problems and lists all that is wrong; warnings are for the
// operator as well, but stop nothing.
func load(src source) (cfg Config, warnings []string, err error) {
	cfg = Defaults()
	set := settings.New(&cfg)
	for _, s := range src.sections {
		if err := set.Section(s.name, s.into); err != nil {
			return cfg, nil, err
		}
	}
	if src.file != "" {
		set.ReadFile(src.file)
	}
	warnings = set.Environ(src.prefix, src.environ)
	set.Flags(src.flags)
	if set.Unreadable() {
		return cfg, warnings, set.Err()
	}
	v := validation{set: set, stateOnly: src.stateOnly, cfg: &cfg, prefix: src.prefix, program: src.program, environ: src.environ, warnings: warnings}
	v.database()
	v.secrets()
	if src.stateOnly {
		return cfg, v.warnings, set.Err()
	}
	v.component()
	v.server()
	v.grants()
	v.lease()
	v.outbox()
	v.router()
	v.admin()
	v.log()
	for _, s := range src.sections {
		if val, ok := s.into.(Validator); ok {
			if err := val.Validate(); err != nil {
				set.Problem(s.name, err)
			}
		}
	}
	return cfg, v.warnings, set.Err()
}

// validation looks for values that are well-formed and wrong.
type validation struct {
	set      *settings.Set
	cfg      *Config
	prefix   string
	program  string
	environ  []string
	warnings []string

	stateOnly bool
}

func (v *validation) warn(format string, args ...any) {
	v.warnings = append(v.warnings, fmt.Sprintf(format, args...))
}

// missing refuses a setting that must be there, and says how to set it.
func (v *validation) missing(key string) {
	f := v.set.Field(key)
	v.set.Refuse(key, "not set; give it in the configuration file, as %s, or as --%s", f.Env(v.prefix), f.Flag())
}

func (v *validation) component() {
	c := &v.cfg.Component
	switch {
	case v.set.Refused("component.domain"):
	case c.Domain.IsZero():
		v.missing("component.domain")
	case !c.Domain.IsDomain():
		v.set.Refuse("component.domain", "%q is an address within a domain, not a domain", c.Domain)
	}
	v.secret()
	if err := checkAddress(c.Address); err != nil {
		v.set.Refuse("component.address", "%v", err)
	}
	if c.TLSCA != "" {
		if _, err := readCA(c.TLSCA); err != nil {
			v.set.Refuse("component.tls_ca", "%v", err)
		}
	}
	for _, key := range []string{"component.tls_ca", "component.tls_name"} {
		if v.set.Field(key).Any() != "" && !c.TLS {
			v.set.Refuse(key, "has no effect without component.tls")
		}
	}
	v.positive("component.connect_timeout", "component.request_timeout", "component.write_timeout", "component.close_timeout",
		"component.keep_alive", "component.backoff_min", "component.backoff_max")
	if c.BackoffMax < c.BackoffMin {
		v.set.Refuse("component.backoff_max", "%v is less than component.backoff_min, %v", c.BackoffMax, c.BackoffMin)
	}
	const least = 10_000 // what every server must accept at least (RFC 6120 section 13.12)
	v.atLeast(least, "component.receive_limit", "component.send_limit", "component.send_buffer")
	v.host(c)
}

// host warns of a link that others may read.
func (v *validation) host(c *ComponentConfig) {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil || c.TLS {
		return
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() {
		v.warn("component.address %s is another machine, and the link has no TLS: whoever can read it can take the gateway over", c.Address)
	}
}

// secret settles where the secret comes from: the later layer wins.
func (v *validation) secret() {
	c := &v.cfg.Component
	value, file := v.set.Field("component.secret"), v.set.Field("component.secret_file")
	switch {
	case c.Secret == "" && c.SecretFile == "":
		if !v.set.Refused("component.secret") && !v.set.Refused("component.secret_file") {
			v.set.Refuse("component.secret", "not set; give it as %s, or a file that holds it as component.secret_file (%s, --%s)",
				value.Env(v.prefix), file.Env(v.prefix), file.Flag())
		}
		return
	case c.Secret != "" && c.SecretFile != "" && value.Layer == file.Layer:
		v.set.Refuse("component.secret_file", "component.secret is set as well (%s): which one counts?", value.Where())
		return
	case c.SecretFile != "" && file.Layer > value.Layer:
		secret, err := readSecret(c.SecretFile)
		if err != nil {
			v.set.Refuse("component.secret_file", "%v", err)
			return
		}
		c.Secret = secret
	}
	if strings.ContainsAny(string(c.Secret), "\r\n\x00") {
		v.set.Refuse("component.secret", "holds a line break or a NUL")
		return
	}
	if weak(c.Secret) {
		v.warn("component.secret is weak: who guesses it can be the gateway to all its users; make one by openssl rand -hex 32")
	}
}

// readSecret reads a file with one secret, which a line break may follow.
func readSecret(name string) (component.Secret, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", plain(err)
	}
	defer func() { _ = f.Close() }()
	const most = 4096
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch text := strings.TrimRight(string(data), "\r\n"); {
	case err != nil:
		return "", plain(err)
	case len(data) > most:
		return "", fmt.Errorf("%s: more than %d bytes, hardly a secret", name, most)
	case text == "":
		return "", fmt.Errorf("%s: empty", name)
	default:
		return component.Secret(text), nil
	}
}

// weak reports whether a secret cannot have 128 bits of chance in it, by its length and the kinds of characters.
func weak(s component.Secret) bool {
	const hex, digits, letters, others = 4.0, 3.32, 4.7, 5.0
	distinct := make(map[rune]bool)
	var digit, lower, upper, other, beyond bool
	for _, r := range s {
		distinct[r] = true
		switch {
		case r >= '0' && r <= '9':
			digit = true
		case r >= 'a' && r <= 'z':
			lower, beyond = true, beyond || r > 'f'
		case r >= 'A' && r <= 'Z':
			upper, beyond = true, beyond || r > 'F'
		default:
			other = true
		}
	}
	bits := others
	switch {
	case digit && !lower && !upper && !other:
		bits = digits
	case !beyond && !other && !(lower && upper):
		bits = hex
	case !digit && !other && lower != upper:
		bits = letters
	case lower && upper:
		bits = others + 0.9
	}
	return bits*float64(len(s)) < 128 || len(distinct) < 8
}

func (v *validation) server() {
	s := &v.cfg.Server
	if v.set.Refused("server.domains") {
		return
	}
	if len(s.Domains) == 0 {
		if _, parent, ok := strings.Cut(v.cfg.Component.Domain.Domain(), "."); ok {
			s.Domains = []string{parent}
		}
	}
	for i, d := range s.Domains {
		j, err := jid.Parse(d)
		switch {
		case err != nil:
			v.set.Refuse("server.domains", "%v", err)
		case !j.IsDomain():
			v.set.Refuse("server.domains", "%q is not a domain", d)
		case j == v.cfg.Component.Domain.JID:
			v.set.Refuse("server.domains", "%s is the gateway's own domain", d)
		default:
			s.Domains[i] = j.Domain()
		}
	}
}

func (v *validation) router() {
	v.atLeast(1, "router.max_handlers", "router.max_queued", "router.lane_size")
	v.atLeast(1<<20, "router.max_queued_bytes")
	v.atLeast(0, "router.sender_rate")
	v.atLeast(1, "router.sender_burst")
	v.positive("router.handler_timeout")
}

func (v *validation) admin() {
	a := v.cfg.Admin
	if a.Listen == adminOff || v.set.Refused("admin.listen") {
		return
	}
	host, port, err := net.SplitHostPort(a.Listen)
	if err != nil {
		v.set.Refuse("admin.listen", "%q is not host:port, such as 127.0.0.1:9180, nor \"off\"", a.Listen)
		return
	}
	if err := checkPort(port); err != nil {
		v.set.Refuse("admin.listen", "%v", err)
		return
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && !a.Public {
		v.set.Refuse("admin.listen", "others could reach %s, and there is no authentication; listen on 127.0.0.1, or set admin.public", a.Listen)
	}
}

func (v *validation) log() {
	l := v.cfg.Log
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, l.Level) {
		v.set.Refuse("log.level", "%q is not debug, info, warn or error", l.Level)
	}
	if !slices.Contains([]string{FormatJSON, FormatConsole}, l.Format) {
		v.set.Refuse("log.format", "%q is not json or console", l.Format)
	}
	if !slices.Contains([]string{WireOff, WireRedacted, WireFull}, l.Wire) {
		v.set.Refuse("log.wire", "%q is not off, redacted or full", l.Wire)
	}
}

func (v *validation) positive(keys ...string) {
	for _, key := range keys {
		if d, ok := v.set.Field(key).Any().(time.Duration); ok && d <= 0 {
			v.set.Refuse(key, "%v is not more than nothing", d)
		}
	}
}

func (v *validation) atLeast(least int, keys ...string) {
	for _, key := range keys {
		if n, ok := v.set.Field(key).Any().(int); ok && n < least {
			v.set.Refuse(key, "%d is less than %d", n, least)
		}
	}
}

func checkAddress(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" {
			return errors.New("unix: without a path")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not host:port, such as %s, nor unix:/path", addr, component.DefaultAddr)
	}
	if port == "0" {
		return errors.New("port 0 is no port to connect to")
	}
	return checkPort(port)
}

func checkPort(port string) error {
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is not a port number", port)
	}
	return nil
}

// config returns the configuration of the link.
func (cc ComponentConfig) config() (component.Config, error) {
	out := component.Config{
		Domain: cc.Domain.JID, Secret: cc.Secret, Addr: cc.Address,
		ConnectTimeout: cc.ConnectTimeout, RequestTimeout: cc.RequestTimeout, WriteTimeout: cc.WriteTimeout,
		CloseTimeout: cc.CloseTimeout, KeepAlive: cc.KeepAlive,
		Backoff:   component.Backoff{Min: cc.BackoffMin, Max: cc.BackoffMax},
		Limits:    xmltree.Limits{Bytes: cc.ReceiveLimit},
		MaxStanza: cc.SendLimit, SendBuffer: cc.SendBuffer,
	}
	if cc.TLS {
		out.TLS = &tls.Config{ServerName: cc.TLSName, MinVersion: tls.VersionTLS12}
		if cc.TLSCA != "" {
			roots, err := readCA(cc.TLSCA)
			if err != nil {
				return out, fmt.Errorf("app: component.tls_ca: %w", err)
			}
			out.TLS.RootCAs = roots
		}
	}
	return out, nil
}

// readCA reads the certificates of a PEM file.
func readCA(name string) (*x509.CertPool, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, plain(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: no PEM certificate in it", name)
	}
	return pool, nil
}

// plain leaves the system call out of the error of a file: "secret.txt: no such file or directory".
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Path, pe.Err)
	}
	return err
}
