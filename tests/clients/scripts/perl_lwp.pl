# Asks with LWP, its own timeout made longer than any test: URL.
use LWP::UserAgent;
my $agent = LWP::UserAgent->new(timeout => 86400, ssl_opts => {verify_hostname => 0, SSL_verify_mode => 0});
my $answer = $agent->get($ARGV[0]);
my $broken = $answer->header("X-Died") || $answer->header("Client-Aborted");
print $answer->content;
print STDERR $answer->status_line, " ", $broken // "", "\n" unless $answer->is_success && !$broken;
exit !($answer->is_success && !$broken);
