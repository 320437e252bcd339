package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// outage has requests and messages that need the database while it is away answered with an error of type wait: the user, or her
// client, may try again. Presence is left alone, since a server takes an error for the end of a subscription.
func outage(next router.HandlerFunc) router.HandlerFunc {
	return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
		p, err := next(ctx, s)
		if errors.Is(err, storage.ErrUnavailable) && s.Kind() != stanza.KindPresence { // guard: FLT-06
			err = fmt.Errorf("%w (%w)", err, &stanza.Error{
				Type: stanza.ErrorWait, Condition: stanza.ResourceConstraint, Text: stanza.NewText("the gateway cannot reach its database; try again later"),
			})
		}
		return p, err
	}
}
