package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// workload is a sequence of stanzas that the server sends over and over.
type workload struct {
	name    string
	stanzas [][]byte
	replies []int // how many replies each stanza asks for: 0 or 1
}

const (
	domain = "gw.example.org"
	secret = "benchmark"
)

const body = "The quick brown fox jumps over the lazy dog, and then it does so once more since a hundred is asked."

func user(i int) string { return fmt.Sprintf("user%d@example.org/phone", i) }
func addr(i int) string { return fmt.Sprintf("room%d@%s", i, domain) }

// echoLoad is chat messages with a body of 100 characters.
func echoLoad(users, addrs int) workload {
	w := workload{name: fmt.Sprintf("echo, %d users", users)}
	for i := range 2000 {
		w.add(1, fmt.Sprintf("<message from='%s' to='%s' id='m%d' type='chat' xml:lang='en'><body>%s</body></message>",
			user(i%users), addr(i*7%addrs), i, body))
	}
	return w
}

// mixedLoad is what a gateway sees: 60 % messages with 4 to 6 extensions, 30 % presence with caps and avatar hash, 10 % IQs.
func mixedLoad(users, addrs int) workload {
	w := workload{name: "mixed"}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same load in each run
	exts := []string{
		"<active xmlns='http://jabber.org/protocol/chatstates'/>",
		"<request xmlns='urn:xmpp:receipts'/>",
		"<markable xmlns='urn:xmpp:chat-markers:0'/>",
		"<origin-id xmlns='urn:xmpp:sid:0' id='6f0b1c52-7a46-4c9b-8a05-5a1d6c1a7c11'/>",
		"<stanza-id xmlns='urn:xmpp:sid:0' by='user@example.org' id='1727000000000000'/>",
		"<reply xmlns='urn:xmpp:reply:0' to='other@example.org/x' id='previous-message-id'/>",
	}
	for i := range 2000 {
		from, to := user(i%users), addr(i*7%addrs)
		switch k := r.IntN(10); {
		case k < 6:
			n := 4 + r.IntN(3)
			w.add(1, fmt.Sprintf("<message from='%s' to='%s' id='m%d' type='chat' xml:lang='en'><body>%s</body>%s</message>",
				from, to, i, body, strings.Join(exts[:n], "")))
		case k < 9:
			w.add(0, fmt.Sprintf("<presence from='%s' to='%s' xml:lang='en'><show>away</show><priority>5</priority>"+
				"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"+
				"<x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x></presence>", from, to))
		default:
			w.add(1, fmt.Sprintf("<iq from='%s' to='%s' id='q%d' type='get' xml:lang='en'><query xmlns='urn:example:query'><item name='a'>1</item></query></iq>", from, to, i))
		}
	}
	return w
}

func (w *workload) add(replies int, s string) {
	w.stanzas = append(w.stanzas, []byte(s))
	w.replies = append(w.replies, replies)
}
