package app

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/fx"

	"github.com/postern-im/postern/storage/secret"
)

// secretsModule keeps what users entrust to the network, such as passwords.
var secretsModule = fx.Module("secrets", fx.Provide(newVault))

// SecretsConfig is where the keys are that secrets of users are sealed with.
type SecretsConfig struct {
	KeyFile string `yaml:"key_file" help:"A file with the keys that secrets of users are sealed with, which its owner alone may read." placeholder:"FILE"`
	Keys    Keys   `yaml:"keys" secret:"true" help:"The keys themselves, a line for each."`
}

// Keys are the text of a keyring. It does not show in logs.
type Keys string

// String returns a placeholder.
func (Keys) String() string { return "[redacted]" }

// GoString returns a placeholder.
func (Keys) GoString() string { return "[redacted]" }

// MarshalText returns a placeholder, so that no encoder writes the keys.
func (Keys) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// errNoKeys is returned for a network that keeps secrets where there is nothing to seal them with.
var errNoKeys = errors.New("app: the network keeps secrets of its users: give it keys to seal them with as secrets.key_file; " +
	"\"secrets generate\" makes one")

// keyring reads the keys; nil where none are configured.
func (c SecretsConfig) keyring() (*secret.Keyring, error) {
	switch {
	case c.KeyFile != "":
		return secret.Load(c.KeyFile)
	case c.Keys != "":
		return secret.Parse(string(c.Keys))
	}
	return nil, nil //nolint:nilnil // there are no keys, and that is no error
}

// secrets settles where the keys come from: the later layer wins.
func (v *validation) secrets() {
	s := &v.cfg.Secrets
	value, file := v.set.Field("secrets.keys"), v.set.Field("secrets.key_file")
	key := file.Key
	switch {
	case s.Keys != "" && s.KeyFile != "" && value.Layer == file.Layer:
		v.set.Refuse(key, "secrets.keys is set as well (%s): which one counts?", value.Where())
		return
	case s.Keys != "" && value.Layer > file.Layer:
		s.KeyFile, key = "", value.Key
	}
	if _, err := s.keyring(); err != nil {
		v.set.Refuse(key, "%v", plain(err))
	}
}

// newVault returns where secrets are kept, or nil where there are no keys. What is kept in memory alone is sealed with a key that
// nobody else has.
func newVault(c SecretsConfig, d *database) (*secret.Vault, error) {
	keys, err := c.keyring()
	if err == nil && keys == nil && d.inMemory() {
		var line string
		if line, err = secret.GenerateKey("memory"); err == nil {
			keys, err = secret.Parse(line)
		}
	}
	if err != nil || keys == nil {
		return nil, err
	}
	return secret.NewVault(d, keys), nil
}

// checkKeys returns an error if secrets are kept that the keys do not open.
func checkKeys(ctx context.Context, v *secret.Vault) error {
	if v == nil {
		return nil
	}
	if err := v.Check(ctx); err != nil {
		return fmt.Errorf("%w: add that key to secrets.key_file, below the first", err)
	}
	return nil
}
