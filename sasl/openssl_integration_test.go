//go:build integration

package sasl_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/postern-im/postern/sasl"
)

// TestSEC48_OpenSSL has a server that does TLS 1.2 without the extended master secret, and one that does it with it.
func TestSEC48_OpenSSL(t *testing.T) {
	for name, want := range map[string][]string{
		"-ExtendedMasterSecret": {sasl.TLSServerEndPoint},
		"ExtendedMasterSecret":  {sasl.TLSExporter, sasl.TLSUnique, sasl.TLSServerEndPoint},
	} {
		t.Run(name, func(t *testing.T) {
			addr, roots := openSSL(t, name)
			config := &tls.Config{RootCAs: roots, ServerName: "xmpp.test", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			state := conn.(*tls.Conn).ConnectionState()
			if len(state.TLSUnique) == 0 {
				t.Error("no finished message to bind with") // which there is, whether it is unique or not
			}
			channel := sasl.NewChannel(&state, true)
			var got []string
			for _, b := range channel.Bindings {
				got = append(got, b.Type)
			}
			if !slices.Equal(got, want) {
				t.Errorf("bound with %q", got)
			}
			if slices.Contains(want, sasl.TLSUnique) {
				return
			}
			for _, f := range []func(*tls.ConnectionState) (sasl.Binding, error){sasl.Exporter, sasl.Unique} {
				if b, err := f(&state); !errors.Is(err, sasl.ErrBinding) {
					t.Errorf("%v, %v", b, err)
				}
			}
		})
	}
}

// openSSL starts a server with an option for TLS.
func openSSL(t *testing.T, option string) (addr string, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	settings := "openssl_conf = main\n[main]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n[all]\nOptions = " + option + "\n[req]\ndistinguished_name = dn\n[dn]\n"
	if err := os.WriteFile(file("openssl.cnf"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "openssl", args...)
		cmd.Env = append(os.Environ(), "OPENSSL_CONF="+file("openssl.cnf"))
		return cmd
	}
	out, err := run(t.Context(), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-subj", "/CN=xmpp.test",
		"-addext", "subjectAltName=DNS:xmpp.test", "-keyout", file("key"), "-out", file("cert")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cert, err := os.ReadFile(file("cert"))
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	ctx, stop := context.WithCancel(context.Background())
	server := run(ctx, "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-cert", file("cert"), "-key", file("key"))
	in, err := server.StdinPipe() // it ends when that does
	if err != nil {
		t.Fatal(err)
	}
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = in.Close()
		_ = server.Wait()
	})
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if m := regexp.MustCompile(`^ACCEPT (\S+:\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			return m[1], roots
		}
	}
	t.Fatal("openssl does not say where it listens")
	return "", nil
}
