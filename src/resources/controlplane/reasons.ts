/**
 * Why something is not as it should be: the reasons that stand in conditions and Events of a ControlPlane.
 */

/** A field of the spec has a wrong type, is missing, or breaks a limit. */
export { INVALID_SPEC } from "../parse_spec.ts";
/** The e-mail of a user that exists in the Controller was changed. */
export const EMAIL_CHANGED = "EmailChanged";
/** A LoadBalancer Service has no address yet. */
export const ADDRESS_PENDING = "AddressPending";
/** The spec must name an address, since the Service type gives none. */
export const ADDRESS_MISSING = "AddressMissing";
/** The certificate authority in its Secret cannot be used; it is never replaced by the operator. */
export const CA_UNUSABLE = "CertificateAuthorityUnusable";
/** The certificate authority ends soon; it is never replaced by the operator. */
export const CA_ENDS_SOON = "CertificateAuthorityEndsSoon";
/** An authority is trusted that signs no more, since agents may still have certificates of it. */
export const FORMER_CA_TRUSTED = "FormerAuthorityTrusted";
/** A certificate of the user's cannot be used. */
export const CERTIFICATE_UNUSABLE = "CertificateUnusable";
/** A certificate of the user's ends soon, or is for another name. */
export const CERTIFICATE_DOUBTFUL = "CertificateDoubtful";
/** The spec names an issuer of cert-manager, and there is no cert-manager. */
export const CERT_MANAGER_MISSING = "CertManagerMissing";
/** An issuer of cert-manager has not made what it was asked for. */
export const CERTIFICATE_PENDING = "CertificatePending";
/** The router's stored configuration, which the Controller writes to as well, cannot be read. */
export const ROUTER_CONFIGURATION_UNREADABLE = "RouterConfigurationUnreadable";
/** A Secret that the spec names is not there. */
export const SECRET_NOT_FOUND = "SecretNotFound";
/** A Secret that the spec names lacks the key. */
export const SECRET_KEY_MISSING = "SecretKeyMissing";
/** A Secret that the spec names is of a type that does not hold what is looked for. */
export const SECRET_TYPE_WRONG = "SecretTypeWrong";
/** The value in a Secret that the spec names cannot be used. */
export const SECRET_VALUE_UNUSABLE = "SecretValueUnusable";
/** A Secret that the spec names cannot be read. */
export const SECRET_UNREADABLE = "SecretUnreadable";
/** The new password is not yet proved, so the Port Manager keeps the old one. */
export const PASSWORD_CHANGING = "PasswordChanging";
/** `spec.images.pullSecret` names a Secret that is not there. */
export const PULL_SECRET_MISSING = "PullSecretMissing";
/** The spec has fields that nothing reads. */
export const UNKNOWN_FIELDS = "UnknownFields";
/** Everything is as it should be. */
export const READY = "Ready";
/** A workload is made again, since what an earlier release gave it can never be changed. */
export const REPLACING = "Replacing";
/** Objects are still being written. */
export const APPLYING = "Applying";
/** A workload was changed a moment ago, and what comes of that is not known yet. */
export const JUST_CHANGED = "JustChanged";
/** A workload has too few available pods. */
export const PODS_UNAVAILABLE = "PodsUnavailable";
/** An image cannot be pulled. */
export const IMAGE_PULL_FAILED = "ImagePullFailed";
/** A container ends again and again. */
export const CRASH_LOOPING = "CrashLooping";
/** The Controller ends again and again, and says that it is for its database. */
export const DATABASE_REFUSED = "DatabaseRefused";
/** A container cannot be started as the pod describes it. */
export const CONTAINER_NOT_STARTED = "ContainerNotStarted";
/** Nothing has provided a volume for a claim. */
export const CLAIM_PENDING = "ClaimPending";
/** The volume behind a claim is gone. */
export const CLAIM_LOST = "ClaimLost";
/** No node takes a pod. */
export const UNSCHEDULABLE = "Unschedulable";
/** A ResourceQuota leaves no room. */
export const QUOTA_EXCEEDED = "QuotaExceeded";
/** The API server refuses pods, such as for a policy. */
export const PODS_REFUSED = "PodsRefused";
/** Everything that was asked for is there and works. */
export const AVAILABLE = "Available";
/** The Controller has not been asked yet. */
export const NOT_ASKED = "NotAsked";
/** The Controller cannot be reached, or does not answer in time; nothing in it changes, and the cluster is repaired. */
export const CONTROLLER_UNREACHABLE = "ControllerUnreachable";
/** Keycloak cannot be reached, or does not answer in time. */
export const KEYCLOAK_UNREACHABLE = "KeycloakUnreachable";
/** What answered is not the Controller, or not Keycloak: HTML, half a body, a redirect. */
export const BAD_RESPONSE = "BadResponse";
/** The Controller answers. */
export const ANSWERS = "Answers";
/** The user or the default router is not yet as it should be in the Controller. */
export const NOT_REGISTERED = "NotRegistered";
/** The Controller knows the user, or the default router, as it should be. */
export const REGISTERED = "Registered";
/** The Controller has the user with another password. */
export const INVALID_CREDENTIALS = "InvalidCredentials";
/** The Controller has another certificate authority than the Secret of that name. */
export const AUTHORITY_MISMATCH = "CertificateAuthorityMismatch";
/** The Controller does not accept the token of its Keycloak. */
export const TOKEN_REFUSED = "TokenRefused";
/** The login may not do what is needed. */
export const ACCESS_DENIED = "AccessDenied";
/** Keycloak has no such realm. */
export const REALM_NOT_FOUND = "RealmNotFound";
/** Keycloak has no such client. */
export const CLIENT_NOT_FOUND = "ClientNotFound";
/** Keycloak's token is of another realm or address than the Controller trusts. */
export const OTHER_ISSUER = "OtherIssuer";
/** A certificate of a server cannot be verified. */
export const NOT_TRUSTED = "CertificateNotTrusted";
/** The Controller is of another generation than the custom resource is for. */
export const OTHER_GENERATION = "OtherControllerGeneration";
/** The Controller refused a request. */
export const REFUSED = "RefusedByController";
/** NATS waits for its operator and accounts, which the Controller has. */
export const NATS_BOOTSTRAP_PENDING = "NatsBootstrapPending";
/** NATS is on its way to another number of servers. */
export const NATS_SCALING = "NatsScaling";
/** A NATS server should go, and it cannot be known whether it may. */
export const NATS_HEALTH_UNKNOWN = "NatsHealthUnknown";
/** A NATS server is not well, so none may go. */
export const NATS_UNHEALTHY = "NatsUnhealthy";
/** The NATS server that would go has what no other has. */
export const NATS_LAST_COPY = "NatsLastCopy";
/** Too few NATS servers would be left for JetStream to decide anything. */
export const NATS_QUORUM = "NatsQuorum";
/** The served CRD drops fields that this version knows. */
export const FIELDS_DROPPED = "FieldsDropped";
/** The operator's Role does not allow something that is done without. */
export const ROLE_TOO_SMALL = "RoleTooSmall";
/** The annotation that stops all writes is there. */
export const PAUSED = "Paused";
/** Nothing is wrong. */
export const NONE = "None";

/** Why a certificate is not as it should be, where only a person can mend it. */
export const certificateReasons: readonly string[] = [
  CA_UNUSABLE,
  CERTIFICATE_UNUSABLE,
  CERT_MANAGER_MISSING,
  SECRET_NOT_FOUND,
  SECRET_KEY_MISSING,
  SECRET_TYPE_WRONG,
  SECRET_UNREADABLE,
];

/** Why NATS cannot have fewer servers, where only a person can help. */
export const scaleRefusals: readonly string[] = [NATS_HEALTH_UNKNOWN, NATS_LAST_COPY, NATS_QUORUM];
/** Something in the Controller is kept although its custom resource was deleted. */
export const STILL_USED = "StillUsed";
