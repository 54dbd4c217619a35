"""What SIPshowpeer and PJSIPShowEndpoint say: every setting of a peer, most always the same.

A header without a value is written without the blank behind its colon here. Sources: captures
sip-peers of Asterisk 16.28 (channels/chan_sip.c, _sip_show_peer()) and pjsip-endpoints of 22.10,
whose order of headers is that of a hash, and of 16.28 with chan_pjsip.
"""

from typing import Final

#: SIPshowpeer behind ActionID; `SIP-FromUser` is of trunks alone.
PEER: Final = """\
Channeltype: SIP
ObjectName: {name}
ChanObjectType: peer
SecretExist: {secret}
RemoteSecretExist: N
MD5SecretExist: N
Context: {context}
Language: {language}
ToneZone: <Not set>
Accountcode: {accountcode}
AMAflags: Unknown
CID-CallingPres: Presentation Allowed, Not Screened
SIP-FromUser: {user}
Callgroup:
Pickupgroup:
Named Callgroup:
Named Pickupgroup:
MOHSuggest:
VoiceMailbox:
TransferMode: open
LastMsgsSent: 0
Maxforwards: 0
Call-limit: {call_limit}
Busy-level: 0
MaxCallBR: 384 kbps
Dynamic: {dynamic}
Callerid: "{caller_name}" <{number}>
RegExpire: {expires_s} seconds
SIP-AuthInsecure: {insecure}
SIP-Forcerport: N
SIP-Comedia: N
ACL: N
SIP-CanReinvite: N
SIP-DirectMedia: N
SIP-PromiscRedir: N
SIP-UserPhone: N
SIP-VideoSupport: N
SIP-TextSupport: N
SIP-T.38Support: N
SIP-T.38EC: Unknown
SIP-T.38MaxDtgrm: 4294967295
SIP-Sess-Timers: Accept
SIP-Sess-Refresh: uas
SIP-Sess-Expires: 1800
SIP-Sess-Min: 90
SIP-RTP-Engine: asterisk
SIP-Encryption: N
SIP-RTCP-Mux: N
SIP-DTMFmode: rfc2833
ToHost: {to_host}
Address-IP: {host}
Address-Port: {port}
Default-addr-IP: (null)
Default-addr-port: 0
Default-Username: {username}
Codecs: (alaw|ulaw)
Status: {status}
SIP-Useragent: {user_agent}
Reg-Contact: {uri}
QualifyFreq: {qualify_ms} ms
Parkinglot:
SIP-Use-Reason-Header: N
Description:
"""

#: Object `endpoint`.
ENDPOINT: Final = """\
ObjectType: endpoint
ObjectName: {name}
RpidImmediate: false
Webrtc: no
Ignore183WithoutSdp: false
SendAoc: false
DeviceStateBusyAt: 5
T38UdptlMaxdatagram: 0
CodecPrefsIncomingAnswer: prefer:pending, operation:intersect, keep:all, transcode:allow
SecurityNegotiation: no
DtlsRekey: 0
RtpPortEnd: 0
NamedPickupGroup:
DirectMediaMethod: invite
SendRpid: false
PickupGroup:
SdpSession: Asterisk
DtlsVerify: No
MessageContext:
Tenantid:
Mailboxes:
RecordOnFeature: automixmon
DtlsPrivateKey:
DtlsFingerprint: SHA-256
OverlapContext:
OutgoingCallOfferPref: remote_merge
RtpPortStart: 0
FromDomain:
TimersSessExpires: 1800
NamedCallGroup:
DtlsCipher:
MediaEncryptionOptimistic: false
SuppressQ850ReasonHeaders: false
Aors: {name}
IdentifyBy: username,ip
CalleridPrivacy: allowed_not_screened
MwiSubscribeReplacesUnsolicited: no
CosAudio: 0
FollowEarlyMediaFork: true
Context: {context}
RtpSymmetric: false
Transport: transport-udp
MohSuggest: default
T38Udptl: false
FaxDetect: false
T38BindUdptlToMediaAddress: false
TosVideo: 0
SrtpTag32: false
ReferBlindProgress: true
MaxAudioStreams: 1
Bundle: false
UseAvpf: false
CallGroup:
SendConnectedLine: yes
FaxDetectTimeout: 0
SdpOwner: -
ForceRport: true
CalleridTag:
RtpTimeoutHold: 0
SuppressMohOnSendonly: false
UsePtime: false
MediaAddress:
VoicemailExtension:
RtpTimeout: 0
StirShaken: no
SetVar:
ContactAcl:
PreferredCodecOnly: false
GeolocOutgoingCallProfile:
ForceAvp: false
RecordOffFeature: automixmon
FromUser:
SendDiversion: true
SendHistoryInfo: false
T38UdptlIpv6: false
ToneZone:
Language: en
AllowSubscribe: true
RtpIpv6: false
Callerid: {callerid}
MohPassthrough: false
CosVideo: 0
DtlsAutoGenerateCert: No
AsymmetricRtpCodec: false
GeolocIncomingCallProfile:
IceSupport: false
AggregateMwi: true
OneTouchRecording: false
MwiFromUser:
RedirectMethod: user
Accountcode: {accountcode}
CodecPrefsOutgoingAnswer: prefer:pending, operation:intersect, keep:all, transcode:allow
Allow: (alaw|ulaw)
RewriteContact: false
UserEqPhone: false
RtpEngine: asterisk
FollowRedirectMethods:
SubscribeContext:
NotifyEarlyInuseRinging: false
IncomingMwiMailbox:
IncomingCallOfferPref: local
AllowUnauthenticatedOptions: false
Auth: {auth}
DirectMediaGlareMitigation: none
TrustIdInbound: false
StirShakenProfile:
BindRtpToMediaAddress: false
DisableDirectMediaOnNat: false
MediaEncryption: no
MediaUseReceivedTransport: false
AllowOverlap: true
DtmfMode: rfc4733
OutboundAuth:
TosAudio: 0
DtlsCertFile:
DtlsCaPath:
DtlsSetup: active
ConnectedLineMethod: invite
G726NonStandard: false
100rel: yes
Timers: yes
DirectMedia: false
Acl:
TimersMinSe: 90
TrustIdOutbound: false
SubMinExpiry: 0
RtcpMux: false
MaxVideoStreams: 1
AcceptMultipleSdpAnswers: false
CodecPrefsIncomingOffer: prefer:pending, operation:intersect, keep:all, transcode:allow
CodecPrefsOutgoingOffer: prefer:pending, operation:union, keep:all, transcode:allow
TrustConnectedLine: yes
SendPai: false
RtpKeepalive: 0
T38UdptlEc: none
T38UdptlNat: false
AllowTransfer: true
DtlsCaFile:
OutboundProxy:
InbandProgress: false
DeviceState: {state}
ActiveChannels: {calls}
"""
#: Object `auth`, without its password.
AUTH: Final = """\
ObjectType: auth
ObjectName: {name}
OauthSecret:
PasswordDigest:
SupportedAlgorithmsUas: MD5
RefreshToken:
Username: {name}
Md5Cred:
Realm:
AuthType: userpass
Password:
SupportedAlgorithmsUac: MD5
NonceLifetime: 32
OauthClientid:
EndpointName: {name}
"""
#: Object `transport`.
TRANSPORT: Final = """\
ObjectType: transport
ObjectName: transport-udp
WebsocketWriteTimeout: 100
Cos: 0
TcpKeepaliveEnable: false
Protocol: udp
SymmetricTransport: false
Domain:
VerifyServer: No
LocalNet:
Bind: 127.0.0.1:5060
AllowWildcardCerts: No
TcpKeepaliveIntervalTime: 1
AsyncOperations: 1
ExternalMediaAddress:
Method: unspecified
ExternalSignalingAddress:
RequireClientCert: No
TcpKeepaliveIdleTime: 30
Tos: 0
CaListPath:
Cipher:
CertFile:
ExternalSignalingPort: 0
Password:
AllowReload: false
VerifyClient: No
TcpKeepaliveProbeCount: 5
PrivKeyFile:
CaListFile:
EndpointName: {name}
"""
#: Object `aor`; the list of AORs has it too, up to `OutboundProxy`.
AOR: Final = """\
ObjectType: aor
ObjectName: {name}
MinimumExpiration: 60
DefaultExpiration: {expiration}
QualifyTimeout: 3.000000
Qualify2xxOnly: false
Mailboxes:
SupportPath: false
RemoveUnavailable: false
VoicemailExtension:
MaxContacts: {most}
AuthenticateQualify: false
Contacts: {contacts}
MaximumExpiration: 7200
QualifyFrequency: {frequency}
RemoveExisting: false
OutboundProxy:
TotalContacts: {total}
ContactsRegistered: {registered}
EndpointName: {name}
"""
#: What 16 does not have yet; the order of the others is the same.
_NEWER: Final = frozenset(
    {
        "CodecPrefsIncomingAnswer",
        "CodecPrefsIncomingOffer",
        "CodecPrefsOutgoingAnswer",
        "CodecPrefsOutgoingOffer",
        "FollowRedirectMethods",
        "IncomingCallOfferPref",
        "OauthClientid",
        "OauthSecret",
        "OutgoingCallOfferPref",
        "OverlapContext",
        "PasswordDigest",
        "Qualify2xxOnly",
        "RedirectMethod",
        "RefreshToken",
        "RtpPortEnd",
        "RtpPortStart",
        "SecurityNegotiation",
        "SendAoc",
        "SupportedAlgorithmsUac",
        "SupportedAlgorithmsUas",
        "SuppressMohOnSendonly",
        "TcpKeepaliveEnable",
        "TcpKeepaliveIdleTime",
        "TcpKeepaliveIntervalTime",
        "TcpKeepaliveProbeCount",
        "Tenantid",
    }
)


def fill(
    template: str, *, newer: bool = True, without: frozenset[str] = frozenset(), **values: object
) -> str:
    """The headers as AMI writes them, but `without` those, and as 16 has them or a `newer` one."""
    left_out = without if newer else without | _NEWER
    lines = (line for line in template.splitlines() if line.partition(":")[0] not in left_out)
    return "".join(
        f"{line} \r\n" if line.endswith(":") else f"{line}\r\n" for line in lines
    ).format(**values)
