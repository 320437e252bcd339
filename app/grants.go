package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/internal/doctor"
	"github.com/postern-im/postern/storage"
)

// grantsCommand is "gateway grants".
type grantsCommand struct {
	stateful

	history int
	json    bool
}

func (c *grantsCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "grants", Short: "Show what servers have granted.",
		Long: `Shows what servers have granted, as the gateway was told when it was last connected: since when, and when it was last told so.
It connects to no server; check does, and compares what is granted with what is wanted.`,
		Example: c.p.expand(`  ${name} grants --config gateway.yaml
  ${name} grants --config gateway.yaml --history=20`),
	}
	flags := cmd.Flags()
	c.flags(flags)
	flags.IntVar(&c.history, "history", 1, "Show this many of what each server granted before, the newest first.")
	flags.BoolVar(&c.json, "json", false, "Write one JSON array in place of text.")
	return cmd
}

// grantReport is a grant as --json writes it.
type grantReport struct {
	Server  string            `json:"server"`
	Kind    storage.GrantKind `json:"kind"`
	Since   time.Time         `json:"since"`
	Renewed time.Time         `json:"renewed"`
	Grants  []string          `json:"grants"`
}

func (c *grantsCommand) run(ctx context.Context) int {
	return c.withDatabase(ctx, func(ctx context.Context, d *database) error {
		list, err := grantHistory(ctx, d, c.history)
		if err != nil {
			return err
		}
		if c.json {
			return c.writeJSON(list)
		}
		if len(list) == 0 {
			c.p.say("no server has granted anything\n")
			return nil
		}
		rows := [][]string{{"SERVER", "KIND", "SINCE", "LAST SEEN", "GRANTS"}}
		for _, g := range list {
			what := "nothing"
			if list := readGrants(g.Data); len(list) > 0 {
				what = strings.Join(list, "; ")
			}
			rows = append(rows, []string{g.Server.String(), string(g.Kind), stamp(g.Since), stamp(g.Renewed), shown(what)})
		}
		c.p.table(rows)
		return nil
	})
}

// grantHistory returns the newest grants of each server and kind.
func grantHistory(ctx context.Context, store storage.Grants, most int) ([]storage.Grant, error) {
	latest, err := store.LatestGrants(ctx)
	if err != nil || most <= 1 {
		return latest, err
	}
	var all []storage.Grant
	for _, g := range latest {
		list, err := store.GrantHistory(ctx, g.Server, g.Kind, most)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// readGrants says in words what an advertisement grants.
func readGrants(data []byte) []string {
	list, err := doctor.ReadGrants(data)
	if err != nil {
		return []string{fmt.Sprintf("unreadable: %v", err)}
	}
	words := make([]string, 0, len(list))
	for _, g := range list {
		words = append(words, g.String())
	}
	return words
}

func (c *grantsCommand) writeJSON(list []storage.Grant) error {
	reports := make([]grantReport, 0, len(list))
	for _, g := range list {
		reports = append(reports, grantReport{
			Server: g.Server.String(), Kind: g.Kind, Since: g.Since.UTC(), Renewed: g.Renewed.UTC(), Grants: readGrants(g.Data),
		})
	}
	enc := json.NewEncoder(c.p.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(reports)
}
