package app

import (
	"context"
	"errors"
	"time"

	"github.com/alecthomas/kong"

	"github.com/postern-im/postern/storage/secret"
)

// secretsCommand is "gateway secrets".
type secretsCommand struct {
	Generate secretsGenerate `cmd:"" help:"Make a key for secrets of users."`
	Rotate   secretsRotate   `cmd:"" help:"Seal all secrets of users with the first key."`
}

// secretsGenerate is "gateway secrets generate".
type secretsGenerate struct {
	p *program

	ID string `arg:"" optional:"" help:"A name for the key, which is no secret; default: the day."`
}

// Help implements kong.HelpProvider.
func (c secretsGenerate) Help() string {
	return c.p.expand(`Prints a key, as a line for the file of secrets.key_file. Keep a copy apart from the backups of the database: without the key
they hold no secrets, and with both whoever has them has all.

Example:

  (umask 077; ${name} secrets generate > keys)`)
}

func (c *secretsGenerate) run(context.Context, *kong.Context) int {
	id := c.ID
	if id == "" {
		id = time.Now().UTC().Format(time.DateOnly)
	}
	line, err := secret.GenerateKey(id)
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	c.p.say("%s\n", line)
	return ExitOK
}

// secretsRotate is "gateway secrets rotate".
type secretsRotate struct {
	stateful

	Secrets SecretsConfig `embed:"" prefix:"secrets-" group:"State:"`
}

// Help implements kong.HelpProvider.
func (c secretsRotate) Help() string {
	return c.p.expand(`To change the key: put a new one first in the file, above the old one; restart the gateway, all of its processes; run this;
take the old key out of the file. It can be ended and run again at any time, and the gateway goes on meanwhile.

Exit codes: 0 all secrets are sealed with the first key, 1 they are not, 2 wrong configuration.

Example:

  ${name} secrets rotate --config gateway.yaml`)
}

// errNoKeysGiven is that there is nothing to seal with.
var errNoKeysGiven = errors.New("secrets.key_file is not set")

func (c *secretsRotate) run(ctx context.Context, k *kong.Context) int {
	cfg, err := c.load(k)
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	keys, err := cfg.Secrets.keyring()
	if err == nil && keys == nil {
		err = errNoKeysGiven
	}
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	return c.withDatabase(ctx, k, func(ctx context.Context, d *database) error {
		done, err := secret.NewVault(d, keys).Reseal(ctx, func(done, left int) { c.p.say("%d sealed anew, %d to go\n", done, left) })
		if err != nil {
			return err
		}
		counts, err := d.CredentialKeys(ctx)
		if err != nil {
			return err
		}
		c.p.say("%d sealed anew; all %d secrets are sealed with key %s\n", done, counts[keys.Current()], keys.Current())
		return nil
	})
}
