package app

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAddressThatIsAnnouncedAnswers(t *testing.T) {
	t.Parallel()
	for listening, want := range map[string]string{
		"127.0.0.1:8080": "localhost:8080",
		"0.0.0.0:8080":   "localhost:8080",
		"[::]:8080":      "localhost:8080",
		"[::1]:8080":     "[::1]:8080",
		"192.0.2.7:8080": "192.0.2.7:8080",
	} {
		require.Equal(t, want, browsable(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listening))))
	}
}
