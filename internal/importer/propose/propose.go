// Package propose drafts the criteria of a question with a model: it renders a
// prompt, reads the reply strictly, asks once more where it cannot be used, and
// then gives up on the question.
//
// What a model proposes is a proposal. The package holds it to its form, so
// that a set with it can be graded by; whether it is any good is for a person.
// It knows no page, no file and no HTTP, and logs nothing.
package propose

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/importer"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/prompt"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// room is how long a reply may be, in tokens: nine criteria take some 2,000,
// the rest is for models that think first.
const room = 6_000

// Model is an importer.Proposer that asks a model. It is safe for concurrent use.
type Model struct {
	completer llm.Completer
	prompts   *prompt.Prompts
	secret    []byte
	timeout   time.Duration
}

// New makes a Model. secret keys the marker around a page, so that its author
// cannot guess it; timeout is the longest that one question may take, retries
// included.
func New(completer llm.Completer, prompts *prompt.Prompts, secret []byte, timeout time.Duration) *Model {
	return &Model{completer: completer, prompts: prompts, secret: secret, timeout: timeout}
}

// Propose asks for the criteria of a question. The error is
// importer.ErrNoProposal where the model would not answer, where its reply was
// cut short or could not be used even after one repair turn, and where the
// question is what the endpoint turned away; any other is that of a model which
// could not be asked (see package llm).
func (m *Model) Propose(ctx context.Context, p importer.Proposal) ([]rubric.Criterion, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	rendered := m.prompts.Draft(prompt.Page{
		Question: p.Question, Kind: string(p.Kind), Intent: p.Intent, Guidance: p.Guidance, SampleAnswer: p.SampleAnswer,
	}, m.mark(p))
	req := llm.Request{Messages: messages(rendered.Messages), Schema: rendered.Schema, SchemaName: rendered.SchemaName, MaxTokens: room}
	for repaired := false; ; repaired = true {
		reply, err := m.completer.Complete(ctx, req)
		switch {
		case errors.Is(err, llm.ErrTooLong), errors.Is(err, llm.ErrRejected):
			return nil, fmt.Errorf("%w: %w", importer.ErrNoProposal, err)
		case err != nil:
			return nil, fmt.Errorf("ask model: %w", err)
		case reply.Refused:
			return nil, fmt.Errorf("%w: refused", importer.ErrNoProposal)
		case reply.Truncated:
			return nil, fmt.Errorf("%w: cut short", importer.ErrNoProposal)
		}
		criteria, fault := read(reply.Text, p)
		switch {
		case fault == nil:
			return criteria, nil
		case repaired:
			return nil, fmt.Errorf("%w: %w", importer.ErrNoProposal, fault)
		}
		turns, err := m.prompts.RepairDraft(reply.Text, fault.Error())
		if err != nil {
			return nil, err
		}
		req.Messages = slices.Concat(req.Messages, messages(turns))
	}
}

// mark names the tags around a page: 50 bits of HMAC-SHA256.
func (m *Model) mark(p importer.Proposal) string {
	mac := hmac.New(sha256.New, m.secret)
	for _, s := range []string{"gradus page fence", p.Question, p.Intent, p.Guidance, p.SampleAnswer} {
		_, _ = io.WriteString(mac, s+"\x00") // a hash takes everything
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil))[:10])
}

func messages(turns []prompt.Message) []llm.Message {
	out := make([]llm.Message, len(turns))
	for i, turn := range turns {
		out[i] = llm.Message{Role: llm.Role(turn.Role), Text: turn.Text}
	}
	return out
}
