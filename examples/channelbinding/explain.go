package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
)

// explain says how somebody was signed in, and why so.
func explain(out io.Writer, who jid.JID, r client.SignIn) {
	protocol := "SASL"
	if r.SASL2 {
		protocol = "SASL2"
	}
	fmt.Fprintf(out, "%s is signed in with %s (%s)\n", who, r.Mechanism, protocol)
	fmt.Fprintf(out, "the server offers: %s\n", list(r.Offered))
	fmt.Fprintf(out, "it can bind by:    %s\n", list(r.Bindings))
	fmt.Fprintf(out, "we can bind by:    %s\n", list(r.Ours))
	fmt.Fprintf(out, "bound by:          %s, since %s\n", list([]string{r.Binding}), why(r))
}

// why gives the reason for the binding that there is, or is not.
func why(r client.SignIn) string {
	common := slices.ContainsFunc(r.Ours, func(typ string) bool { return slices.Contains(r.Bindings, typ) })
	switch {
	case r.Token && r.Binding != "":
		return "the token was given out for that"
	case r.Binding != "":
		return "it is the strongest that both have; whoever sits between ends another TLS connection, and the proof fails"
	case len(r.Bindings) == 0:
		return "the server offers none, and was told that we can: had somebody taken its offer away, it would have refused"
	case !common:
		return "both can, but by no common type; the server confirmed its offer instead"
	}
	return "the mechanism is none that binds"
}

func list(names []string) string {
	if s := strings.Join(names, ", "); s != "" {
		return s
	}
	return "nothing"
}
