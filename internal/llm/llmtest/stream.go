package llmtest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// stream writes an answer as server-sent events: the message in pieces, then
// why it ends, then what it cost.
func (a answer) stream(c *call, next <-chan struct{}, pieces ...string) {
	if len(pieces) == 0 && a.content != nil {
		// Cut where it may be, within a word or a letter's escape.
		text := *a.content
		for len(text) > 0 {
			n := min(len(text), 7)
			for n < len(text) && text[n]&0xC0 == 0x80 {
				n++
			}
			pieces, text = append(pieces, text[:n]), text[n:]
		}
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(c.w)
	model := a.model
	if model == "" {
		model = c.request.Model
	}
	send := func(more map[string]any) {
		more["id"], more["object"], more["created"], more["model"] = fmt.Sprintf("chatcmpl-%d", c.request.Number), "chat.completion.chunk", 1, model
		text, err := json.Marshal(more)
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(c.w, "data: %s\n\n", text)
		_ = flusher.Flush()
	}
	choice := func(delta map[string]any, finish any) {
		send(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}}})
	}
	choice(map[string]any{"role": "assistant", "content": ""}, nil)
	if a.refusal != "" {
		choice(map[string]any{"refusal": a.refusal}, nil)
	}
	for i, piece := range pieces {
		if i > 0 && next != nil {
			select {
			case <-next:
			case <-c.r.Context().Done():
				return
			case <-c.closed:
				return
			}
		}
		choice(map[string]any{"content": piece}, nil)
	}
	choice(map[string]any{}, a.finish)
	send(map[string]any{"choices": []any{}, "usage": map[string]any{
		"prompt_tokens": a.usage.prompt, "completion_tokens": a.usage.completion, "total_tokens": a.usage.prompt + a.usage.completion,
		"prompt_tokens_details": map[string]any{"cached_tokens": a.usage.cached},
	}})
	_, _ = fmt.Fprint(c.w, "data: [DONE]\n\n")
}
