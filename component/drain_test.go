package component_test

import (
	"context"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// drainer is a handler that has something to say before it has finished.
type drainer struct {
	recorder
	say func(ctx context.Context) error
}

func (d *drainer) Drain(ctx context.Context) error { return d.say(ctx) }

// TestFLT24_HandlersFinishBeforeTheStreamEnds has the last answer of a handler leave before the server is asked whether it has
// read all.
func TestFLT24_HandlersFinishBeforeTheStreamEnds(t *testing.T) {
	cfg := scripted(t, welcome(append([]xmpptest.Step{xmpptest.ExpectElement(xmpptest.Kind(stanza.KindMessage, "chat"))}, farewell()...)...))
	var c *running
	d := &drainer{recorder: *newRecorder(nil), say: func(ctx context.Context) error {
		return c.Send(ctx, message(jid.MustParse("a@b"), "last", "good bye"))
	}}
	c = serve(t, cfg, d).online()
	c.stop()
	c.ended()
	if st := c.State(); st.Phase != component.PhaseStopped || st.Cause != nil {
		t.Errorf("state %+v", st)
	}
}
