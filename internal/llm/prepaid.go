package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
)

// Digest names a request by all that it asks: 32 hex digits, the same in every
// process.
func (r *Request) Digest() string {
	text, err := json.Marshal(r)
	if err != nil { // only a schema that is no JSON can do that
		text = fmt.Appendf(nil, "%+v", *r)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Prepaid holds replies that an endpoint gave ahead of being asked, as in a
// batch of requests that it answers within a day. It is safe for concurrent
// use; make it with NewPrepaid.
type Prepaid struct {
	mu      sync.RWMutex
	replies map[string]*Reply
}

// NewPrepaid holds nothing yet.
func NewPrepaid() *Prepaid { return &Prepaid{replies: make(map[string]*Reply)} }

// Put keeps the reply to the request with a digest.
func (p *Prepaid) Put(digest string, reply *Reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies[digest] = reply
}

// Has reports whether the reply to the request with a digest is here.
func (p *Prepaid) Has(digest string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.replies[digest] != nil
}

// Before answers from what is held, and asks next about everything else.
func (p *Prepaid) Before(next Completer) Completer { return &prepaying{p, next} }

type prepaying struct {
	held *Prepaid
	next Completer
}

func (p *prepaying) Complete(ctx context.Context, req Request) (*Reply, error) {
	p.held.mu.RLock()
	reply := p.held.replies[req.Digest()]
	p.held.mu.RUnlock()
	if reply == nil {
		return p.next.Complete(ctx, req)
	}
	same := *reply
	return &same, nil
}

func (p *prepaying) Models() []string { return p.next.Models() }
