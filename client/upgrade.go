package client

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/xmltree"
)

// Upgrade tasks, XEP-0480 v0.2.0.

// nsSCRAMUpgrade is the namespace of what a task of SCRAM exchanges.
const nsSCRAMUpgrade = "urn:xmpp:scram-upgrade:0"

// upgrade does what the server asks for between the end of the mechanism and its success, and returns that success. Only what we offered
// is done, each once, and nothing before the server has proved itself.
func (l *link) upgrade(ctx context.Context, a *attempt, el xmltree.Element) (xmltree.Element, error) {
	data, ok := el.Child(nsSASL2, "additional-data")
	if err := done(a.m, data.Text(), ok); err != nil { // guard: SEC-47 replace: err != nil => false && err != nil
		l.abort(nsSASL2)
		return el, err
	}
	a.proven = true
	for el.Is(nsSASL2, "continue") {
		task := a.task(el)
		if task == "" {
			l.abort(nsSASL2)
			return el, final{ErrTasks}
		}
		var err error
		if el, err = l.perfect(ctx, a, task); err != nil {
			// The account is sound without it. The next try does not ask for it.
			l.c.noUpgrade = true
			l.c.log.Warn("the upgrade of the stored password failed", zap.String("task", task), zap.Error(err))
			return el, fmt.Errorf("client: task %s: %w", task, err)
		}
		a.upgraded = append(a.upgraded, task)
		l.c.log.Info("the server has a better hash of the password now", zap.String("task", task))
	}
	return el, nil
}

// task returns which of the tasks that the server lists is one of ours, and takes it from those; "" if none is.
func (a *attempt) task(el xmltree.Element) string {
	list, _ := el.Child(nsSASL2, "tasks")
	for _, t := range texts(list, nsSASL2, "task") {
		if i := slices.Index(a.tasks, t); i >= 0 {
			a.tasks = slices.Delete(a.tasks, i, i+1)
			return t
		}
	}
	return ""
}

// perfect carries out one task and returns what follows it: success, or the demand for another task.
func (l *link) perfect(ctx context.Context, a *attempt, task string) (xmltree.Element, error) {
	err := l.send(func(enc *xmltree.Encoder) {
		enc.Start(xml.Name{Space: nsSASL2, Local: "next"})
		enc.Attr("task", task)
		enc.End()
	})
	if err != nil {
		return xmltree.Element{}, err
	}
	el, err := l.taskAnswer(a, "task-data")
	if err != nil {
		return el, err
	}
	salt, ok := el.Child(nsSCRAMUpgrade, "salt")
	if !ok {
		l.abort(nsSASL2)
		return el, fmt.Errorf("%w: a task without salt", ErrProtocol)
	}
	raw, err := decode(salt.Text())
	var hash []byte
	if err == nil {
		hash, err = sasl.Upgrade(ctx, a.m, task, raw, salt.Attr("iterations"))
	}
	if err != nil {
		l.abort(nsSASL2)
		return el, err
	}
	err = l.send(func(enc *xmltree.Encoder) {
		enc.Start(xml.Name{Space: nsSASL2, Local: "task-data"})
		enc.TextElement(xml.Name{Space: nsSCRAMUpgrade, Local: "hash"}, encode(hash))
		enc.End()
	})
	if err != nil {
		return el, err
	}
	return l.taskAnswer(a, "success", "continue")
}

// taskAnswer reads one of these elements of SASL2. A failure is an error, but never final: nobody said that the password is wrong.
func (l *link) taskAnswer(a *attempt, names ...string) (xmltree.Element, error) {
	el, err := l.element()
	switch {
	case err != nil:
		return el, err
	case el.Is(nsSASL2, "failure"):
		e := refusal(el, a.m)
		if f, ok := e.(final); ok { //nolint:errorlint // refusal wraps nothing else
			e = f.error
		}
		return el, e
	case el.Name().Space != nsSASL2 || !slices.Contains(names, el.Name().Local):
		return el, fmt.Errorf("%w: %s in place of %s", ErrProtocol, el.Name().Local, strings.Join(names, " or "))
	}
	return el, nil
}
