package openai

import (
	"log/slog"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/llm"
)

// learned is what is known of one model at one endpoint.
type learned struct {
	mu     sync.Mutex
	known  shape
	proven bool // a request with a schema has been answered
}

func (l *learned) shape() shape {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// add merges what a request found out; it reports whether that was news.
func (l *learned) add(s shape) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.known
	l.known = before.merge(s)
	return l.known != before
}

// answered notes that a request with this shape was answered.
func (l *learned) answered(s shape, withSchema bool) (news bool) {
	news = l.add(s)
	if withSchema {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.proven = true
	}
	return news
}

func (l *learned) isProven() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proven
}

// Lessons: the parameter that a 400 was about, as it is logged.
const (
	aboutFormat   = "response_format"
	aboutLimit    = "token_limit"
	aboutSampling = "temperature"
	aboutEffort   = "reasoning_effort"
	aboutSystem   = "system_role"
	aboutStream   = "stream"
	// guessed is a step that no one named: the 400 said nothing of use and the
	// endpoint has never answered a request with a schema. It is kept only if
	// it helps.
	guessed = "guessed"
)

// adapt reads from a refusal what the next attempt has to leave out. It
// returns an empty lesson when the refusal is about something else.
func (c *Client) adapt(sent shape, req llm.Request, r *refusal) (next shape, lesson string) {
	next = sent
	reasoning := reasons(c.model)
	formatted := req.Schema != nil && sent.format != plainText
	streamed := req.Watch != nil && !sent.noStream
	switch {
	case streamed && r.names("stream"):
		next.noStream = true
		return next, aboutStream
	case req.MaxTokens > 0 && !sent.noLimit && r.names("max_tokens", "max_completion_tokens"):
		// The name the table gives comes first; then the other, unless
		// go-openai would not let it out; then none.
		if next.otherLimit || reasoning {
			next.noLimit = true
		}
		next.otherLimit = true
		return next, aboutLimit
	case !reasoning && !sent.noSampling && r.names("temperature"):
		next.noSampling = true
		return next, aboutSampling
	case reasoning && !sent.noEffort && r.names("reasoning_effort", "reasoning effort"):
		next.noEffort = true
		return next, aboutEffort
	case formatted && r.names("response_format", "response format", "json_schema", "json_object", "json schema", "json mode",
		"structured output", "guided", "grammar"):
		next.format++
		return next, aboutFormat
	case !sent.noSystem && hasSystem(req) && (r.names("messages[0].role", "system role", "system message", "'system'", "developer instruction") ||
		r.names("roles must alternate")):
		next.noSystem = true
		return next, aboutSystem
	case streamed && r.nameless() && !c.learned.isProven():
		next.noStream = true
		return next, guessed
	case formatted && r.nameless() && !c.learned.isProven():
		next.format++
		return next, guessed
	}
	return sent, ""
}

func hasSystem(req llm.Request) bool {
	for _, m := range req.Messages {
		if m.Role == llm.System {
			return true
		}
	}
	return false
}

// tell logs a lesson once.
func (c *Client) tell(lesson string, s shape) {
	c.cfg.Logger.Info("model endpoint does not take a parameter; left out from now on",
		slog.String("model", c.model), slog.String("parameter", lesson),
		slog.String("reply_format", s.format.String()))
}

// tooLarge reports that the limit itself was refused, not its name: the model
// writes fewer tokens than were asked for.
func (r *refusal) tooLarge() bool {
	return r.names("max_tokens", "max_completion_tokens") &&
		(strings.Contains(r.message, "too large") || strings.Contains(r.message, "at most"))
}
