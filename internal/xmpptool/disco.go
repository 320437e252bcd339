package xmpptool

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/jid"
)

// discoCommand is "xmpp disco".
type discoCommand struct {
	Of   jid.JID
	Node string
	account
}

func (c *discoCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "disco", Short: "Show what an address is, what it can do, and what belongs to it.",
		Long: `Signs in and asks an address what it is and can do, and what belongs to it (XEP-0030): identities, features, forms, items. Where
one of the two questions is refused, the other is still shown.`,
		Example: `  xmpp disco --jid me@example.org example.org
  xmpp disco --jid me@example.org irc.example.org --node http://jabber.org/protocol/commands
  xmpp disco --jid me@example.org example.org --json | jq -r '.items[].jid'`,
	}
	cli.Arguments(cmd, "jid", "Whom to ask.", 1, 1, (&address{to: &c.Of}).Set)
	cmd.Flags().StringVar(&c.Node, "node", "", "Which `NODE` of the address is meant.")
	c.flags(cmd.Flags())
	return cmd
}

// discovery is what --json writes.
type discovery struct {
	JID        string              `json:"jid"`
	Node       string              `json:"node,omitempty"`
	Identities []identity          `json:"identities"`
	Features   []string            `json:"features"`
	Forms      []map[string]string `json:"forms,omitempty"`
	Items      []item              `json:"items"`
	InfoError  string              `json:"info_error,omitempty"`
	ItemsError string              `json:"items_error,omitempty"`
}

type identity struct {
	Category string `json:"category"`
	Type     string `json:"type"`
	Name     string `json:"name,omitempty"`
	Lang     string `json:"lang,omitempty"`
}

type item struct {
	JID  string `json:"jid"`
	Node string `json:"node,omitempty"`
	Name string `json:"name,omitempty"`
}

func (c *discoCommand) run(ctx context.Context, t *Tool) int {
	s, code := t.signIn(ctx, &c.account)
	if s == nil {
		return code
	}
	defer s.close()
	d := c.ask(ctx, s)
	if c.JSON {
		t.write(d)
	} else {
		d.print(t.Stdout)
	}
	if d.InfoError != "" || d.ItemsError != "" {
		return ExitFailure
	}
	return ExitOK
}

// ask asks both questions.
func (c *discoCommand) ask(ctx context.Context, s *session) discovery {
	d := discovery{JID: c.Of.String(), Node: c.Node, Identities: []identity{}, Features: []string{}, Items: []item{}}
	ask := disco.NewClient(s, disco.ClientConfig{})
	each, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	info, err := ask.GetInfo(each, c.Of, c.Node)
	if err != nil {
		d.InfoError = answer(err)
	}
	for _, id := range info.Identities {
		d.Identities = append(d.Identities, identity(id))
	}
	d.Features = append(d.Features, info.Features...)
	for _, f := range info.Forms {
		values := make(map[string]string)
		for _, field := range f.Fields {
			values[field.Var] = field.Text()
		}
		d.Forms = append(d.Forms, values)
	}
	each, cancel = context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	items, err := ask.GetItems(each, c.Of, c.Node)
	if err != nil { // there may be some all the same
		d.ItemsError = answer(err)
	}
	for _, i := range items {
		d.Items = append(d.Items, item{JID: i.JID.String(), Node: i.Node, Name: i.Name})
	}
	return d
}

// print writes the answers for reading by eye.
func (d *discovery) print(w io.Writer) {
	if d.InfoError != "" {
		fmt.Fprintf(w, "info      %s\n", d.InfoError)
	}
	for _, id := range d.Identities {
		fmt.Fprintf(w, "identity  %s/%s%s\n", clean(id.Category), clean(id.Type), named(id.Name))
	}
	for _, f := range d.Features {
		fmt.Fprintf(w, "feature   %s\n", clean(f))
	}
	for _, f := range d.Forms {
		fmt.Fprintf(w, "form      %s\n", clean(f["FORM_TYPE"]))
		for _, key := range sortedKeys(f) {
			if key != "FORM_TYPE" {
				fmt.Fprintf(w, "          %s = %s\n", clean(key), clean(f[key]))
			}
		}
	}
	for _, i := range d.Items {
		node := ""
		if i.Node != "" {
			node = " node " + clean(i.Node)
		}
		fmt.Fprintf(w, "item      %s%s%s\n", clean(i.JID), node, named(i.Name))
	}
	if d.ItemsError != "" {
		fmt.Fprintf(w, "items     %s\n", d.ItemsError)
	}
}

// named adds a name for people.
func named(name string) string {
	if name == "" {
		return ""
	}
	return "  " + clean(name)
}
