package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/webhook"
)

const (
	current = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	leaving = "a plain secret of many characters"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func sender(t *testing.T, lax []netip.Prefix) *webhook.Sender {
	t.Helper()
	s, err := webhook.New(webhook.Config{Secrets: []string{current, leaving}, Lax: lax})
	require.NoError(t, err)
	return s
}

func receiver(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

type message struct {
	Type string `json:"type"`
}

func TestAReceiverCanVerifyWithEitherSecretAndRefusesWhatWasChanged(t *testing.T) {
	t.Parallel()
	var headers http.Header
	var body []byte
	at := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		headers = r.Header
		body, _ = io.ReadAll(r.Body)
	})
	require.NoError(t, sender(t, loopback).Send(t.Context(), at+"/hook", "ba_1", message{"batch.completed"}))
	require.JSONEq(t, `{"type":"batch.completed"}`, string(body))
	require.Empty(t, headers.Get("Authorization"))
	require.Empty(t, headers.Get("Cookie"))

	first, err := standard.NewWebhook(current)
	require.NoError(t, err)
	second, err := standard.NewWebhookRaw([]byte(leaving))
	require.NoError(t, err)
	require.NoError(t, first.Verify(body, headers))
	require.NoError(t, second.Verify(body, headers))

	require.Error(t, first.Verify(append(body, ' '), headers), "another body")
	old := headers.Clone()
	old.Set(standard.HeaderWebhookTimestamp, "1700000000")
	require.Error(t, first.Verify(body, old), "an old timestamp")
	other := headers.Clone()
	other.Set(standard.HeaderWebhookID, "ba_2")
	require.Error(t, first.Verify(body, other), "replayed as another message")
	stranger, err := standard.NewWebhookRaw([]byte(strings.Repeat("x", 24)))
	require.NoError(t, err)
	require.Error(t, stranger.Verify(body, headers))
}

func TestWhatAReceiverAnswersDecidesWhetherToComeAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		after  string
		err    error // a target; nil for delivered
		again  bool
		atLeas time.Duration
	}{
		{name: "taken", status: 204},
		{name: "gone", status: 410, err: webhook.ErrGone},
		{name: "a redirect is a failure", status: 302, again: true, atLeas: 5 * time.Second},
		{name: "broken", status: 500, again: true, atLeas: 5 * time.Second},
		{name: "busy", status: 429, after: "90", again: true, atLeas: 90 * time.Second},
		{name: "busy for ever", status: 503, after: "99999999", again: true, atLeas: 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var elsewhere atomic.Int32
			other := receiver(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
			at := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", other)
				if test.after != "" {
					w.Header().Set("Retry-After", test.after)
				}
				w.WriteHeader(test.status)
			})
			err := sender(t, loopback).Send(t.Context(), at, "ba_1", message{})
			if !test.again && test.err == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
			}
			wait, again := webhook.Wait(1, err)
			require.Equal(t, test.again, again)
			require.GreaterOrEqual(t, wait, test.atLeas)
			require.LessOrEqual(t, wait, test.atLeas*11/10)
			require.Zero(t, elsewhere.Load(), "no redirect was followed")
		})
	}
}

func TestTheScheduleEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("the receiver answered 500")
	total, last := time.Duration(0), time.Duration(0)
	for failed := 1; ; failed++ {
		wait, again := webhook.Wait(failed, broken)
		if !again {
			require.Equal(t, len(webhook.Schedule)+1, failed)
			break
		}
		require.Greater(t, wait, last)
		total, last = total+wait, webhook.Schedule[failed-1]
	}
	require.Greater(t, total, 3*24*time.Hour)
	require.Less(t, total, 5*24*time.Hour)
}

// TestNoPrivateAddressIsEverCalled covers OWASP API7:2023 and ASVS 1.3.6,
// 13.2.4, 15.3.2.
func TestNoPrivateAddressIsEverCalled(t *testing.T) {
	t.Parallel()
	var called atomic.Int32
	at, err := url.Parse(receiver(t, func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(at.Host)
	require.NoError(t, err)
	strict := sender(t, nil)
	// The strict guard with the port open: what is refused is the address.
	anyPort := sender(t, []netip.Prefix{})
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "127。0。0。1", "ⓛocalhost",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "224.0.0.1",
		"[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433", "0x7f.1", "127.1",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		require.Error(t, anyPort.Send(ctx, "http://"+host+":"+port+"/", "ba_1", message{}), host)
		require.Error(t, strict.Send(ctx, "https://"+host+"/", "ba_1", message{}), host)
		cancel()
	}
	require.Zero(t, called.Load())
}

func TestAddressesThatCanNeverBeUsedAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := sender(t, nil)
	for _, address := range []string{"https://example.com/hook?a=b", "https://example.com:8443/", "https://8.8.8.8/x", "https://[2606:4700::1111]/", "https://bücher.example/", "https://example.com./"} {
		require.NoError(t, s.Check(address), address)
	}
	for _, address := range []string{
		"", "example.com", "http://example.com/", "ftp://example.com/", "https:///x", "https://example.com:80/",
		"https://user:secret@example.com/", "https://example.com/#x", "https://127.0.0.1/", "https://[::1]/",
		"https://10.1.2.3/", "https://[::ffff:10.1.2.3]/", "https://100.64.0.1/", "https://[64:ff9b::7f00:1]/", "https://0.0.0.0/", "https://169.254.169.254/",
		"https://localhost/", "https://a.localhost./", "https://ⓛocalhost/", "https://127。0。0。1/", "https://2130706433/", "https://0x7f.1/", "https://redis/", "https://example.com/" + strings.Repeat("x", 2100), "javascript:alert(1)",
	} {
		err := s.Check(address)
		var refused *webhook.AddressError
		require.ErrorAs(t, err, &refused, address)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestASlowReceiverKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var inside, most atomic.Int32
	slow := receiver(t, func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), inside.Add(1)))
		<-release
		inside.Add(-1)
	})
	quick := receiver(t, func(http.ResponseWriter, *http.Request) {})
	s := sender(t, loopback)
	done := make(chan error, 6)
	for range 6 {
		go func() { done <- s.Send(t.Context(), slow, "ba_1", message{}) }()
	}
	require.NoError(t, s.Send(t.Context(), quick, "ba_2", message{}))
	require.Eventually(t, func() bool { return inside.Load() == 2 }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Send(ctx, slow, "ba_3", message{}), context.Canceled, "who waits for a turn can leave")
	close(release)
	for range 6 {
		require.NoError(t, <-done)
	}
	require.LessOrEqual(t, most.Load(), int32(2))
}

func TestSecretsAreLongEnoughAndNeverShown(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "short", "whsec_!!!", "whsec_" + base64.StdEncoding.EncodeToString([]byte("short")), strings.Repeat("x", 65)} {
		_, err := webhook.New(webhook.Config{Secrets: []string{secret}})
		require.ErrorIs(t, err, webhook.ErrSecret)
		if len(secret) > 4 {
			require.NotContains(t, err.Error(), secret)
		}
	}
	_, err := webhook.New(webhook.Config{})
	require.ErrorIs(t, err, webhook.ErrSecret)
}

func TestErrorsDoNotRepeatTheAddress(t *testing.T) {
	t.Parallel()
	s := sender(t, loopback)
	err := s.Send(t.Context(), "http://127.0.0.1:1/?token=hush", "ba_1", message{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hush")
}
