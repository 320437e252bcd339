package app

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/storage/secret"
)

// secretsGenerate is "gateway secrets generate".
type secretsGenerate struct {
	p *program

	id string
}

func (c *secretsGenerate) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "generate", Short: "Make a key for secrets of users.",
		Long: `Prints a key, as a line for the file of secrets.key_file. Keep a copy apart from the backups of the database: without the key
they hold no secrets, and with both whoever has them has all.`,
		Example: c.p.expand(`  (umask 077; ${name} secrets generate > keys)`),
	}
	cli.Arguments(cmd, "id", "A name for the key, which is no secret; default: the day.", 0, 1, func(text string) error {
		c.id = text
		return nil
	})
	return cmd
}

func (c *secretsGenerate) run(context.Context) int {
	id := c.id
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
type secretsRotate struct{ stateful }

func (c *secretsRotate) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate", Short: "Seal all secrets of users with the first key.",
		Long: `To change the key: put a new one first in the file, above the old one; restart the gateway, all of its processes; run this;
take the old key out of the file. It can be ended and run again at any time, and the gateway goes on meanwhile.

Exit codes: 0 all secrets are sealed with the first key, 1 they are not, 2 wrong configuration.`,
		Example: c.p.expand(`  ${name} secrets rotate --config gateway.yaml`),
	}
	c.flags(cmd.Flags(), "secrets.")
	return cmd
}

// errNoKeysGiven is that there is nothing to seal with.
var errNoKeysGiven = errors.New("secrets.key_file is not set")

func (c *secretsRotate) run(ctx context.Context) int {
	cfg, err := c.load()
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
	return c.withDatabase(ctx, func(ctx context.Context, d *database) error {
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
