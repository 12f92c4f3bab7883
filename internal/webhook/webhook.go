// Package webhook tells those who asked that something is over: one signed POST
// by the Standard Webhooks specification 1.0, to an address that a stranger
// chose.
//
// It never calls an address inside the network that it runs in: each
// connection's address is checked as it is dialled, so that neither a redirect
// nor a name that changes its mind leads there. When to try again is said here;
// keeping track of tries is somebody else's.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/idna"
)

// Limits of the specification, and our own.
const (
	minSecret, maxSecret = 24, 64 // bytes
	maxURL               = 2048   // bytes
	timeout              = 15 * time.Second
	maxReply             = 64 << 10 // bytes read of a reply, and thrown away
	// perHost is how many are sent to one receiver at a time, so that a slow
	// one cannot keep the others waiting.
	perHost = 2
)

// ports are where a webhook may be sent to.
var ports = []uint16{443, 8443}

// ErrSecret says what a secret must look like.
var ErrSecret = fmt.Errorf("a webhook secret is \"whsec_\" and %d to %d bytes in base64, or plain text of as many characters", minSecret, maxSecret)

// ErrGone is returned by Send for a receiver that wants no more of these.
var ErrGone = errors.New("the receiver wants no more notices")

// AddressError says why an address cannot be used, in words for whoever gave it.
type AddressError struct{ Reason string }

func (e *AddressError) Error() string { return e.Reason }

// Schedule is how long to wait after each failed attempt before the next; after
// the last one the receiver is given up. It spans four days.
var Schedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// maxWait bounds what a receiver's Retry-After can ask for.
const maxWait = 24 * time.Hour

// Wait is how long to wait after a number of failed attempts, 1 or more, with a
// tenth of jitter; false when the receiver is to be given up. What the receiver
// asked for counts where it is longer.
func Wait(failed int, err error) (time.Duration, bool) {
	if failed < 1 || failed > len(Schedule) || errors.Is(err, ErrGone) {
		return 0, false
	}
	wait := Schedule[failed-1]
	wait += time.Duration(rand.Int64N(int64(wait)/10 + 1))
	var busy *BusyError
	if errors.As(err, &busy) {
		wait = max(wait, min(busy.RetryAfter, maxWait))
	}
	return wait, true
}

// BusyError is a receiver that named a time to come again.
type BusyError struct {
	Status     int
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("the receiver answered %d and asked to wait %s", e.Status, e.RetryAfter)
}

// Config is what a Sender is made of.
type Config struct {
	// Secrets sign: the first is the current one, others are on their way out
	// and sign as well. At least one is required.
	Secrets []string
	// Now is the clock of signatures. Default time.Now.
	Now func() time.Time
	// Lax lifts, for tests, what keeps a Sender away from this machine: plain
	// http and any port are allowed, and addresses in these networks.
	Lax []netip.Prefix
}

// Sender signs and sends. It is safe for concurrent use.
type Sender struct {
	signers []*standard.Webhook
	now     func() time.Time
	lax     bool
	client  *http.Client

	mu    sync.Mutex
	lanes map[string]*lane
}

// lane is what is being sent to one receiver.
type lane struct {
	slots chan struct{}
	users int
}

// New makes a Sender, or returns ErrSecret.
func New(cfg Config) (*Sender, error) {
	s := &Sender{now: cfg.Now, lax: cfg.Lax != nil, lanes: make(map[string]*lane)}
	if s.now == nil {
		s.now = time.Now
	}
	for _, secret := range cfg.Secrets {
		key, err := ParseSecret(secret)
		if err != nil {
			return nil, err
		}
		signer, err := standard.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("make signer: %w", err)
		}
		s.signers = append(s.signers, signer)
	}
	if len(s.signers) == 0 {
		return nil, ErrSecret
	}
	dialer := &net.Dialer{Timeout: timeout, Control: guard(cfg.Lax)}
	s.client = &http.Client{
		Timeout: timeout,
		// No proxy: it would dial what the guard never sees.
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, TLSHandshakeTimeout: timeout,
			ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: maxReply,
			MaxIdleConnsPerHost: perHost, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
		// A redirect is a failure (specification, "Delivery").
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// ParseSecret reads a secret in either of its forms, or returns ErrSecret.
func ParseSecret(secret string) ([]byte, error) {
	key := []byte(secret)
	if coded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, ErrSecret
		}
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return nil, ErrSecret
	}
	return key, nil
}

// guard refuses to dial anything but public addresses. It sees the address that
// a name has turned out to mean.
func guard(lax []netip.Prefix) func(network, address string, c syscall.RawConn) error {
	options := []ssrf.Option{ssrf.WithPorts(ports...)}
	if lax != nil {
		options = []ssrf.Option{ssrf.WithAnyPort()}
		for _, prefix := range lax {
			if prefix.Addr().Is4() {
				options = append(options, ssrf.WithAllowedV4Prefixes(prefix))
			} else {
				options = append(options, ssrf.WithAllowedV6Prefixes(prefix))
			}
		}
	}
	return ssrf.New(options...).Safe
}

// Check says, before anything is accepted, whether an address could be used, by
// an *AddressError. That it can be dialled is only known when it is.
func (s *Sender) Check(address string) error {
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		return &AddressError{"the address is too long"}
	case err != nil || u.Host == "" || u.Hostname() == "":
		return &AddressError{"this is not the address of a host"}
	case u.User != nil:
		return &AddressError{"the address must not hold a user or password"}
	case u.Fragment != "":
		return &AddressError{"the address must not have a fragment"}
	case s.lax && u.Scheme == "http":
		return nil
	case u.Scheme != "https":
		return &AddressError{"the address must begin with https://"}
	case s.lax || u.Port() == "":
	default:
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || !slices.Contains(ports, uint16(port)) {
			return &AddressError{"the port must be 443 or 8443"}
		}
	}
	if !s.lax && !public(u.Hostname()) {
		return &AddressError{"the address is not a public one"}
	}
	return nil
}

// public is an early, friendly form of what guard enforces: it refuses what is
// plainly an address of this machine or network, however it is written.
func public(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		// As the client will read it: "ⓛocalhost" is a way to write localhost.
		name, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
		if err != nil {
			return false
		}
		if ip, err = netip.ParseAddr(name); err != nil {
			last := name[strings.LastIndexByte(name, '.')+1:]
			// No domain ends in a number; "0x7f.1" and "2130706433" are addresses.
			_, number := strconv.ParseUint(last, 0, 64)
			return last != name && last != "localhost" && number != nil
		}
	}
	ip = ip.Unmap()
	network := "tcp6"
	if ip.Is4() {
		network = "tcp4"
	}
	return guard(nil)(network, netip.AddrPortFrom(ip, ports[0]).String(), nil) == nil
}

// Send makes one attempt to deliver a message. id is the same for every attempt
// at the same message. nil means that the receiver has it.
func (s *Sender) Send(ctx context.Context, address, id string, message any) error {
	if err := s.Check(address); err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil {
		return &AddressError{"this is not the address of a host"}
	}
	leave, err := s.enter(ctx, u.Host)
	if err != nil {
		return err
	}
	defer leave()
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode notice %s: %w", id, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("notice %s: %w", id, err)
	}
	at := s.now()
	var signatures []string
	for _, signer := range s.signers {
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return fmt.Errorf("sign notice %s: %w", id, err)
		}
		signatures = append(signatures, signature)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gradus")
	req.Header.Set(standard.HeaderWebhookID, id)
	req.Header.Set(standard.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standard.HeaderWebhookSignature, strings.Join(signatures, " "))
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("send notice %s: %w", id, unaddressed(err))
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written: closing cannot lose anything
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return nil
	case resp.StatusCode == http.StatusGone:
		return ErrGone
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		return &BusyError{Status: resp.StatusCode, RetryAfter: time.Duration(seconds) * time.Second}
	}
	return fmt.Errorf("the receiver answered %d", resp.StatusCode)
}

// unaddressed drops the URL from a client's error: its query may hold a secret.
func unaddressed(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// enter waits for a turn with a host.
func (s *Sender) enter(ctx context.Context, host string) (leave func(), err error) {
	s.mu.Lock()
	l := s.lanes[host]
	if l == nil {
		l = &lane{slots: make(chan struct{}, perHost)}
		s.lanes[host] = l
	}
	l.users++
	s.mu.Unlock()
	gone := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.lanes, host)
		}
	}
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
