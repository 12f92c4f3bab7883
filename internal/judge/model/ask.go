package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/prompt"
)

// Reasons why a model that was asked gave nothing to judge by. They appear in
// the Doubts of a judgement.
const (
	Refused         = "refused"          // it would not answer
	ReplyUnreadable = "reply_unreadable" // not even after one repair turn
	ReplyTruncated  = "reply_truncated"  // cut short, and again with twice the room, or without end
)

// Room for a reply, in tokens: what five criteria take is some 200, the rest
// is for models that think first. A bound is needed because a reply that never
// ends costs without limit.
const (
	roomBase         = 1024
	roomPerCriterion = 128
	// roomToRepair is what a repair turn has besides: whoever has answered once
	// is known to need no more than so much, or twice what that took.
	roomToRepair = 256
)

// A whole reply has fewer code points than this, with three quotes and a
// comparison of the length asked for to each criterion and white space between.
const (
	longestReply        = 256
	longestPerCriterion = 700
)

// runsAway reports whether a reply about n criteria that was cut short would not
// end with more room either: small models write the same few words over and
// over. What it thought does not count.
func runsAway(text string, n int) bool {
	if at := strings.LastIndex(text, "</think>"); at >= 0 {
		text = text[at:]
	} else if strings.Contains(text, "<think>") {
		return false
	}
	return utf8.RuneCountInString(text) > longestReply+longestPerCriterion*n
}

// ask puts one request and reads the reply about n criteria. A reply cut short
// is asked for once more with twice the room, unless it runs away, or is a
// repair and so has had that; one that cannot be read gets one
// repair turn. What is still unusable then comes back as a reason; an error
// means that the model could not be asked.
func (j *Judge) ask(ctx context.Context, l *ledger, req llm.Request, n int, answer string) (readings []reading, reason string, err error) {
	first := req.Messages
	var longer, repaired bool
	for {
		reply, err := j.complete(ctx, l, req)
		if err != nil {
			return nil, "", err
		}
		switch {
		case reply.Refused:
			return nil, Refused, nil
		case reply.Truncated && (longer || repaired || runsAway(reply.Text, n)):
			return nil, ReplyTruncated, nil
		case reply.Truncated:
			longer = true
			req.MaxTokens *= 2
			continue
		}
		readings, fault := read(reply.Text, n, answer)
		switch {
		case fault == nil:
			return readings, "", nil
		case repaired:
			return nil, ReplyUnreadable, nil
		}
		repaired = true
		req.MaxTokens = min(req.MaxTokens, max(roomToRepair+roomPerCriterion*n, 2*reply.Usage.CompletionTokens))
		turns, err := j.cfg.Prompts.Repair(reply.Text, fault.Error())
		if err != nil {
			return nil, "", err
		}
		req.Messages = slices.Concat(first, messages(turns))
	}
}

// askOnce puts one request and makes do with what comes: a second look is not
// worth a second chance.
func (j *Judge) askOnce(ctx context.Context, l *ledger, r prompt.Rendered, answer string) (got reading, usable bool, err error) {
	reply, err := j.complete(ctx, l, request(r, 1))
	if err != nil || reply.Refused || reply.Truncated {
		return reading{}, false, err
	}
	if readings, fault := read(reply.Text, 1, answer); fault == nil {
		return readings[0], true, nil
	}
	return reading{}, false, nil
}

func (j *Judge) complete(ctx context.Context, l *ledger, req llm.Request) (*llm.Reply, error) {
	reply, err := j.cfg.Completer.Complete(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("ask model: %w", err)
	}
	l.add(reply)
	return reply, nil
}

func request(r prompt.Rendered, n int) llm.Request {
	return llm.Request{
		Messages:   messages(r.Messages),
		Schema:     r.Schema,
		SchemaName: r.SchemaName,
		MaxTokens:  roomBase + roomPerCriterion*n,
	}
}

func messages(turns []prompt.Message) []llm.Message {
	out := make([]llm.Message, len(turns))
	for i, turn := range turns {
		out[i] = llm.Message{Role: llm.Role(turn.Role), Text: turn.Text}
	}
	return out
}
