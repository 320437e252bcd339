package xmpptool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// sendCommand is "xmpp send".
type sendCommand struct {
	To      []jid.JID
	Room    []jid.JID
	Nick    string
	Subject string
	Type    string
	account
}

func (c *sendCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "send", Short: "Send a text from standard input to people and rooms.",
		Long: `Reads a text from standard input, signs in and sends it to each address. It ends well when the server has read all of it and has
refused none; whether somebody reads it is another matter. A room must have echoed the text.`,
		Example: `  echo "The backup is done." | xmpp send --jid cron@example.org admin@example.org
  xmpp send --jid cron@example.org --type headline --subject News a@example.org b@example.net < news.txt
  uptime | xmpp send --jid cron@example.org --room ops@rooms.example.org --nick cron`,
	}
	cli.Arguments(cmd, "jid", "Who gets the message.", 0, 0, (&address{add: &c.To}).Set)
	flags := cmd.Flags()
	flags.Var(&address{add: &c.Room}, "room", "Room that is joined, told, and left; may be given several times.")
	flags.StringVar(&c.Nick, "nick", "", "`NAME` to join rooms with; default: the account's.")
	flags.StringVar(&c.Subject, "subject", "", "Subject of the message (not in rooms, where it would be the room's).")
	cli.Enum(flags, &c.Type, "type", "chat", "`TYPE` of the message: chat, normal or headline.", "chat", "normal", "headline")
	c.flags(flags)
	return cmd
}

// sent is what became of the message to one address.
type sent struct {
	JID   string `json:"jid"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// maxText bounds the text. Servers end the stream for larger stanzas, and half of what Prosody takes is for escapes.
const maxText = 100 << 10

func (c *sendCommand) run(ctx context.Context, t *Tool) int {
	text, err := c.text(t.Stdin)
	if err != nil {
		return t.fail(err, c.JSON)
	}
	bounced := bounces{errs: make(map[string]error)}
	rooms := newRooms()
	s, code := t.signIn(ctx, &c.account,
		router.HandleMessage(stanza.MessageError, func(_ context.Context, m *stanza.Message) error {
			rooms.failed(m)
			bounced.add(m)
			return nil
		}),
		router.HandleMessage(stanza.MessageGroupchat, rooms.message),
		router.HandlePresence(stanza.PresenceAvailable, rooms.presence),
		router.HandlePresence(stanza.PresenceError, rooms.presence),
	)
	if s == nil {
		return code
	}
	var all []sent
	ids := make(map[int]string)
	for i, to := range c.To {
		id := rand.Text() // nobody else can refuse it
		ids[i] = id
		r := sent{JID: to.String(), OK: true}
		m := &stanza.Message{Header: stanza.Header{ID: id, To: to}, Type: stanza.MessageType(c.Type), Body: stanza.NewText(text)}
		if c.Subject != "" {
			m.Subject = stanza.NewText(c.Subject)
		}
		if err := s.Send(ctx, m); err != nil {
			r.OK, r.Error = false, answer(err)
		}
		all = append(all, r)
	}
	if len(c.To) > 0 {
		if err := c.confirm(ctx, s); err != nil {
			for i := range all {
				all[i].OK, all[i].Error = false, "not confirmed by the server: "+answer(err)
			}
		}
	}
	for _, room := range c.Room {
		r := sent{JID: room.String(), OK: true}
		if err := c.say(ctx, s, rooms, room, text); err != nil {
			r.OK, r.Error = false, answer(err)
		}
		all = append(all, r)
	}
	s.close() // after which all that came back is with the handlers
	for i, id := range ids {
		if err := bounced.of(id); err != nil && all[i].OK {
			all[i].OK, all[i].Error = false, answer(err)
		}
	}
	return c.report(t, all)
}

// text reads the text, and refuses what cannot be sent.
func (c *sendCommand) text(in io.Reader) (string, error) {
	if len(c.To)+len(c.Room) == 0 {
		return "", usage(errors.New("nobody to send to"), "Give addresses, or rooms with --room.")
	}
	for _, room := range c.Room {
		if room.Local() == "" || room.Resource() != "" {
			return "", usage(fmt.Errorf("%s is no room", room), "Rooms look like room@service.")
		}
	}
	data, err := io.ReadAll(io.LimitReader(in, maxText+1))
	text := strings.TrimRight(string(data), "\r\n")
	switch {
	case err != nil:
		return "", usage(fmt.Errorf("standard input: %w", err), "")
	case len(data) > maxText:
		return "", usage(fmt.Errorf("the text is longer than %d bytes", maxText), "Servers take no larger messages: send a part, or a link.")
	case text == "":
		return "", usage(errors.New("there is no text"), "It is read from standard input: echo hello | xmpp send ...")
	case !utf8.ValidString(text):
		return "", usage(errors.New("the text is not UTF-8"), "Convert it, for instance with iconv -t UTF-8.")
	}
	return text, nil
}

// confirm waits until the server has read what was sent.
func (c *sendCommand) confirm(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return s.Barrier(ctx)
}

func (c *sendCommand) report(t *Tool, all []sent) int {
	code := ExitOK
	for _, r := range all {
		if !r.OK {
			code = ExitFailure
			if !c.JSON {
				fmt.Fprintf(t.Stderr, "%s: %s: %s\n", name, clean(r.JID), r.Error)
			}
		}
	}
	if c.JSON {
		t.write(struct {
			Results []sent `json:"results"`
		}{all})
	}
	return code
}

// bounces collects the errors that come back.
type bounces struct {
	mu   sync.Mutex
	errs map[string]error // by the message's id
}

func (b *bounces) add(m *stanza.Message) {
	const most = 10_000
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.Error != nil && len(b.errs) < most {
		b.errs[m.ID] = m.Error
	}
}

func (b *bounces) of(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.errs[id]
}
