package disco_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
)

// catalog is the tree of XEP-0030 section 4.2.
func catalog(t testing.TB) (*disco.Tree, disco.Address) {
	t.Helper()
	shop := jid.MustParse("gw.example")
	root := disco.Address{JID: shop}
	tree := new(disco.Tree)
	for _, i := range []struct {
		parent disco.Address
		node   string
	}{
		{root, "books"},
		{root, "music"},
		{disco.Address{JID: shop, Node: "music"}, "music/D"},
		{disco.Address{JID: shop, Node: "music/D"}, "music/D/dowland-firstbooke"},
	} {
		if err := tree.Add(i.parent, disco.Item{JID: shop, Node: i.node}, disco.Info{}); err != nil {
			t.Fatal(err)
		}
	}
	return tree, root
}

func nodes(t testing.TB, tree *disco.Tree, at disco.Address) string {
	t.Helper()
	items, err := tree.DiscoItems(context.Background(), disco.Query{To: at.JID, Node: at.Node})
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, i := range items {
		out = append(out, i.Node)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestTree(t *testing.T) {
	tree, root := catalog(t)
	at := func(node string) disco.Address { return disco.Address{JID: root.JID, Node: node} }
	const missing = "disco: item-not-found"
	for node, want := range map[string]string{
		"": "books music", "books": "", "music": "music/D", "music/D": "music/D/dowland-firstbooke", "music/D/dowland-firstbooke": "", "x": missing,
	} {
		if got := nodes(t, tree, at(node)); got != want {
			t.Errorf("items of %q: %q, want %q", node, got, want)
		}
	}
	for node, want := range map[string]string{"music": "branch", "music/D": "branch", "books": "leaf", "music/D/dowland-firstbooke": "leaf"} {
		i, err := tree.DiscoInfo(t.Context(), disco.Query{To: root.JID, Node: node})
		if err != nil || len(i.Identities) != 1 || i.Identities[0].Category != "hierarchy" || i.Identities[0].Type != want {
			t.Errorf("info of %q: %+v, %v", node, i, err)
		}
	}
	for _, node := range []string{"", "x"} {
		if i, err := tree.DiscoInfo(t.Context(), disco.Query{To: root.JID, Node: node}); err == nil {
			t.Errorf("info of %q: %+v", node, i)
		}
	}

	if err := tree.Add(at("books"), disco.Item{JID: root.JID, Node: "music", Name: "moved"}, disco.Info{}); err != nil {
		t.Fatal(err)
	}
	if got := nodes(t, tree, root) + "|" + nodes(t, tree, at("books")) + "|" + nodes(t, tree, at("music")); got != "books|music|music/D" {
		t.Errorf("moved: %s", got)
	}
	for _, parent := range []string{"music", "music/D", "music/D/dowland-firstbooke"} {
		if err := tree.Add(at(parent), disco.Item{JID: root.JID, Node: "music"}, disco.Info{}); err == nil {
			t.Errorf("music is below %s, which is below it", parent)
		}
	}
	if err := tree.Add(at("new"), disco.Item{JID: root.JID, Node: "new"}, disco.Info{}); err == nil || nodes(t, tree, at("new")) != missing {
		t.Errorf("an item is below itself: %v", err)
	}

	tree.Remove(at("x"))
	tree.Remove(root)
	tree.Remove(at("music"))
	if got := nodes(t, tree, root) + "|" + nodes(t, tree, at("books")) + "|" + nodes(t, tree, at("music")) + "|" + nodes(t, tree, at("music/D")); got != "books||"+missing+"|"+missing {
		t.Errorf("removed: %s", got)
	}
	tree.Remove(at("books"))
	if got := nodes(t, tree, root); got != missing {
		t.Errorf("empty: %s", got)
	}
}

func TestTreeAddressesAreNormal(t *testing.T) {
	tree := new(disco.Tree)
	room, err := jid.ParseRouted("Room@GW.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Add(disco.Address{JID: gw}, disco.Item{JID: room}, disco.Info{Identities: []disco.Identity{{Category: "conference", Type: "irc"}}}); err != nil {
		t.Fatal(err)
	}
	i, err := tree.DiscoInfo(t.Context(), disco.Query{To: jid.MustParse("room@gw.example")})
	if err != nil || len(i.Identities) != 1 || !i.Is("conference", "irc") {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestTreeChangesWhileAsked is for the race detector.
func TestTreeChangesWhileAsked(t *testing.T) {
	tree, root := catalog(t)
	r := responder(t, disco.Config{JID: root.JID, Sources: []disco.Source{tree}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				_ = tree.Add(root, disco.Item{JID: root.JID, Node: "n"}, disco.Info{Features: []string{"b", "a"}})
				_, _ = r.Info(context.Background(), disco.Query{To: root.JID, Node: "n"})
				_, _ = r.Items(context.Background(), disco.Query{To: root.JID})
				tree.Remove(disco.Address{JID: root.JID, Node: "n"})
			}
		})
	}
	wg.Wait()
}
