// The routes of this room (contracts/extensions.md §2): registry, installs, look-ups for runners and the UI host,
// trust, and what the published author CLI sends. They parse, check access and delegate.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/extensions/install_service.h"
#include "features/extensions/publisher.h"
#include "features/extensions/registry_service.h"
#include "features/extensions/trust_service.h"
#include "features/extensions/upload_service.h"

namespace bulkhead::extensions {

// All outlive the routes.
struct ExtensionsRoom {
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  RegistryService& registry;
  Publisher& publisher;
  InstallService& installs;
  TrustService& trust;
  UploadService& uploads;
  const StagingFolder& staging;
  ThreadPool& pool;
};
access::Routes extension_routes(ExtensionsRoom room);

// Parts of it, by file.
access::Routes registry_routes(ExtensionsRoom room);
access::Routes install_routes(ExtensionsRoom room);
access::Routes trust_routes(ExtensionsRoom room);
access::Routes author_cli_routes(ExtensionsRoom room);

}  // namespace bulkhead::extensions
