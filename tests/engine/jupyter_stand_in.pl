#!/usr/bin/perl
# Stands for JupyterLab: answers over HTTP, and shows its page only to who has the token.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
die "jupyter: no space for the kernel\n" if $ENV{BROKEN};
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 8888, Listen => 8, ReuseAddr => 1) or die $!;
print "serving as uid $>\n";
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my $status = $request =~ /token=\Q$ENV{JUPYTER_TOKEN}\E / ? '200 OK' : '403 Forbidden';
    print $client "HTTP/1.0 $status\r\nContent-Type: text/plain\r\n\r\n@ARGV\n";
    close $client;
}
